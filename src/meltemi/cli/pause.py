"""`meltemi pause`."""

from typing import Any

import click

from meltemi.cli.asking import asking, daemon_options, region_option, route_option
from meltemi.cli.holding import holding


@click.command("pause")
@route_option
@region_option
@daemon_options
def command(**options: Any) -> int:
    """Leave a route or a library alone until `meltemi resume`.

    Transfers that are under way are finished; nothing else is begun.
    """
    return asking(holding("PUT", options, "is paused; what is under way is finished"), options)
