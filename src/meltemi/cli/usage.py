"""`meltemi usage`."""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any, Final

import click

from meltemi.cli.asking import asking, daemon_options, region_option
from meltemi.cli.options import Parsed, option
from meltemi.cli.output import check_columns, output_options, print_rows
from meltemi.daemon.client import Client

_COLUMNS: Final = ("Day", "Project", "Library", "Moved", "Byte-hours")


def _parse_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"{text!r} is not a day, as 2026-11-01") from None


_DAY: Final = Parsed("day", _parse_day)


@click.command("usage")
@option(
    "--from",
    "usage_from",
    type=_DAY,
    metavar="DAY",
    help="From this day on, as 2026-11-01.",
)
@option(
    "--to",
    "usage_to",
    type=_DAY,
    metavar="DAY",
    help="Up to this day, which is included.",
)
@option("--project", "usage_project", metavar="ID", help="Of this project only.")
@region_option
@output_options
@daemon_options
def command(**options: Any) -> int:
    """Show what projects can be charged for: bytes moved and byte-hours stored, by day and library.

    Days are in UTC; today's figures go on to grow.
    """
    check_columns(_COLUMNS, options)
    return asking(partial(_show, options=options), options)


async def _show(client: Client, *, options: Mapping[str, Any]) -> int:
    query = {
        "from": options["usage_from"],
        "to": options["usage_to"],
        "project": options["usage_project"],
        "library": options["region"],
        "limit": "10000",
    }
    found = await client.pages("/v1/usage", "usage", query)
    print_rows([_row(one) for one in found], _COLUMNS, options)
    return 0


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Day": one["day"],
        "Project": one["project"],
        "Library": one["library"],
        "Moved": one["moved"],
        "Byte-hours": one["byte_hours"],
    }
