"""`meltemi resume`."""

from typing import Any

import click

from meltemi.cli.asking import asking, daemon_options, region_option, route_option
from meltemi.cli.holding import holding


@click.command("resume")
@route_option
@region_option
@daemon_options
def command(**options: Any) -> int:
    """Go on with a route or a library that was paused."""
    return asking(holding("DELETE", options, "goes on"), options)
