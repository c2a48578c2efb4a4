"""`meltemi credential set REGION`."""

import sys
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import click

from meltemi.cli.asking import asking, daemon_options, say
from meltemi.cli.options import option
from meltemi.daemon.client import Client
from meltemi.errors import UsageError

project_option: Final = option(
    "--project", metavar="ID", help="Of this project; else your own.  (administrators)"
)


@click.command("set")
@click.argument("region")
@option("--id", "credential", metavar="ID", required=True, help="The id of the credential.")
@project_option
@daemon_options
def command(region: str, **options: Any) -> int:
    """Leave the daemon an application credential for REGION.

    Its secret is read from stdin, or asked for. The one before is forgotten.
    """
    secret = _secret()
    body = {"id": options["credential"], "secret": secret, "project": options["project"]}
    return asking(partial(_set, region=region, body=body), options)


async def _set(client: Client, *, region: str, body: dict[str, str | None]) -> int:
    await client.send("PUT", f"/v1/credentials/{quote(region, safe='')}", body)
    say(f"meltemi: the daemon has a credential for {region} now")
    return 0


def _secret() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Secret", hide_input=True, err=True))
    secret = sys.stdin.readline().strip()
    if not secret:
        raise UsageError("no secret comes from stdin")
    return secret
