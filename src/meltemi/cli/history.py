"""`meltemi history [IMAGE]`."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import click

from meltemi.cli.asking import asking, daemon_options, placement_row, region_option, route_option
from meltemi.cli.options import option, whole
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.daemon.client import Client

_SHOWN: Final = ("Time", "ID", "Name", "Library", "Status", "Run", "Moved")
_COLUMNS: Final = (
    *("Time", "ID", "Name", "From", "Library", "Route", "Owner", "Wanted", "Observed"),
    *("Status", "Detail", "Run", "Bytes", "Moved"),
)


@click.command("history")
@click.argument("image", required=False)
@region_option
@route_option
@option("--last", type=whole(1), default=100, show_default=True, help="So many at most.")
@output_options
@daemon_options
def command(image: str | None, **options: Any) -> int:
    """Show what changed of images in libraries, the oldest first.

    IMAGE is an id or a name; without it, all are shown.
    """
    check_columns(_COLUMNS, options)
    return asking(partial(_show, image=image, options=options), options)


async def _show(client: Client, *, image: str | None, options: Mapping[str, Any]) -> int:
    query = {"image": image, "library": options["region"], "route": options["route"]}
    found = await client.pages("/v1/changes", "changes", query, options["last"])
    brief = options["format"] in ("table", "value") and not options["column"]
    rows = [_row(one) for one in reversed(found)]
    print_rows(rows, _SHOWN if brief else _COLUMNS, options)
    return 0


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Time": one["at"],
        **placement_row(one),
        "Run": one["run"],
        "Bytes": one["size"],
        "Moved": one["moved"],
    }
