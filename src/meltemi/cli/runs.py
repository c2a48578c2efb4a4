"""`meltemi runs`."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import click

from meltemi.cli.asking import asking, daemon_options, route_option
from meltemi.cli.options import option, whole
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.daemon.client import Client

_COLUMNS: Final = (
    *("ID", "Route", "Cause", "Libraries", "Images", "Began", "Ended", "Result"),
    *("In sync", "Planned", "Done", "Failed", "Moved", "Detail"),
)


@click.command("runs")
@route_option
@option("--last", type=whole(1), default=20, show_default=True, help="So many at most.")
@output_options
@daemon_options
def command(**options: Any) -> int:
    """Show the daemon's runs, the latest first.

    A run looks at a route and has what is to be done queued; Done and Failed go on to count after
    it has ended.
    """
    check_columns(_COLUMNS, options)
    return asking(partial(_show, options=options), options)


async def _show(client: Client, *, options: Mapping[str, Any]) -> int:
    query = {"route": options["route"]}
    found = await client.pages("/v1/runs", "runs", query, options["last"])
    print_rows([_row(one) for one in found], _COLUMNS, options)
    return 0


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ID": one["id"],
        "Route": one["route"],
        "Cause": one["cause"],
        "Libraries": ", ".join(one["libraries"]),
        "Images": "all" if one["images"] is None else one["images"],
        "Began": one["began"],
        "Ended": one["ended"],
        "Result": one["result"],
        "In sync": one["in_sync"],
        "Planned": one["planned"],
        "Done": one["done"],
        "Failed": one["failed"],
        "Moved": one["moved"],
        "Detail": one["detail"],
    }
