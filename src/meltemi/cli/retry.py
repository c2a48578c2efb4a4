"""`meltemi retry [IMAGE]`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from meltemi.cli.asking import asking, daemon_options, region_option, route_option, say
from meltemi.daemon.client import Client


@click.command("retry")
@click.argument("image", required=False)
@region_option
@route_option
@daemon_options
def command(image: str | None, **options: Any) -> int:
    """Have what failed tried again now, instead of when its next attempt is due.

    IMAGE is an id or a name; without it, all that failed is meant, and all else is looked at anew,
    too. A library that is left alone after failures is asked at once.
    """
    return asking(partial(_retry, image=image, options=options), options)


async def _retry(client: Client, *, image: str | None, options: Mapping[str, Any]) -> int:
    asked = {"image": image, "library": options["region"], "route": options["route"]}
    await client.send("POST", "/v1/retries", asked)
    say("meltemi: the daemon tries again; `meltemi status` shows what becomes of it")
    return 0
