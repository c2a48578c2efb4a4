"""`meltemi credential unset REGION`."""

from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import click

from meltemi.cli.asking import asking, daemon_options, say
from meltemi.cli.credential.set import project_option
from meltemi.daemon.client import Client


@click.command("unset")
@click.argument("region")
@project_option
@daemon_options
def command(region: str, **options: Any) -> int:
    """Have the daemon forget the credential for REGION.

    What is there already stays there: withdraw it first.
    """
    return asking(partial(_unset, region=region, project=options["project"]), options)


async def _unset(client: Client, *, region: str, project: str | None) -> int:
    query = f"?{urlencode({'project': project})}" if project else ""
    await client.send("DELETE", f"/v1/credentials/{quote(region, safe='')}{query}")
    say(f"meltemi: the daemon has forgotten the credential for {region}")
    return 0
