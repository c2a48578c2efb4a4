"""`meltemi status [IMAGE]`."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Any, Final

import click

from meltemi.cli.asking import (
    asking,
    behind,
    daemon_options,
    placement_row,
    region_option,
    route_option,
    say,
)
from meltemi.cli.options import option
from meltemi.cli.output import check_columns, output_options, print_rows, printing_rows
from meltemi.cli.working import INTERRUPTED
from meltemi.daemon.client import Client
from meltemi.errors import UsageError
from meltemi.model.units import format_duration

_SHOWN: Final = ("ID", "Name", "Library", "Status", "Behind", "Since")
_COLUMNS: Final = (
    *("ID", "Name", "From", "Library", "Route", "Owner", "Wanted", "Observed", "Status", "Detail"),
    *("Since", "Behind", "Late", "Run", "Bytes", "Done", "Total", "Attempts", "Due", "Target ID"),
)
_WATCHED: Final = ("Time", "ID", "Name", "Library", "Status")


@click.command("status")
@click.argument("image", required=False)
@region_option
@route_option
@option("--late", is_flag=True, help="Only what is later than its route allows.")
@option("--watch", is_flag=True, help="Go on, and print what changes as it changes.")
@output_options
@daemon_options
def command(image: str | None, **options: Any) -> int:
    """Show which images are in which libraries, and what becomes of the others.

    IMAGE is an id or a name; without it, all are shown. How far an image is behind is how long it
    has been wanted in a library and not been there as it should; it is late where that is longer
    than `within` of its route.
    """
    watching = options["watch"]
    if watching and options["late"]:
        raise UsageError("--late does not go with --watch, which shows every change")
    check_columns(_WATCHED if watching else _COLUMNS, options)
    work = _watch if watching else _show
    return asking(partial(work, image=image, options=options), options)


async def _show(client: Client, *, image: str | None, options: Mapping[str, Any]) -> int:
    query = _query(image, options)
    found = await client.pages("/v1/placements", "placements", query)
    brief = options["format"] in ("table", "value") and not options["column"]
    rows = [_row(one, told=options["format"] == "table") for one in found]
    print_rows(rows, _SHOWN if brief else _COLUMNS, options)
    _summarize(found)
    if image is not None:
        for one in await client.pages("/v1/answers", "answers", {"image": image}):
            kept = f" (here alone: {one['problem']})" if one["problem"] else ""
            say(f"meltemi: its owner is told: {one['text']}{kept}")
    for line in await _hindrances(client):
        say(f"meltemi: {line}")
    return 0


async def _watch(client: Client, *, image: str | None, options: Mapping[str, Any]) -> int:
    query = _query(image, options)
    narrow = {name: query[name] for name in ("image", "library", "route")}
    show = printing_rows(_WATCHED, options)
    try:
        async with aclosing(client.events(narrow)) as events:
            async for event in events:
                if event.kind in ("begin", "reset"):
                    for one in await client.pages("/v1/placements", "placements", query):
                        show(_watched(one, one["since"]))
                elif event.kind == "away":
                    say(f"meltemi: {event.data['reason']}; trying again")
                elif event.kind == "back":
                    say("meltemi: the daemon answers again")
                else:
                    show(_watched(event.data, event.data.get("at")))
    except asyncio.CancelledError:
        return INTERRUPTED
    return 0


def _query(image: str | None, options: Mapping[str, Any]) -> dict[str, str | None]:
    late = "true" if options["late"] else None
    route, library = options["route"], options["region"]
    return {"image": image, "library": library, "route": route, "late": late, "limit": "10000"}


def _row(one: Mapping[str, Any], *, told: bool) -> dict[str, Any]:
    """Give a row; for a table, spans of time are told as people read them."""
    return {
        **placement_row(one),
        "Since": one["since"],
        "Behind": behind(one) if told else one["behind"],
        "Late": one["late"],
        "Run": one["run"],
        "Bytes": one["size"],
        "Done": one["done"],
        "Total": one["total"],
        "Attempts": one["attempts"],
        "Due": one["due"],
        "Target ID": one["target_id"],
    }


def _watched(one: Mapping[str, Any], moment: str | None) -> dict[str, Any]:
    return {
        "Time": moment,
        "ID": one["image"],
        "Name": one["name"],
        "Library": one["library"],
        "Status": one["status"],
    }


def _summarize(found: Sequence[Mapping[str, Any]]) -> None:
    """Count on stderr, and say how far behind what is furthest behind is."""
    counts = Counter(one["observed"] for one in found)
    parts = [f"{count} {observed}" for observed, count in counts.most_common()]
    lags = [one["behind"] for one in found if one["behind"] is not None]
    lag = f"; behind by up to {format_duration(timedelta(seconds=max(lags)))}" if lags else ""
    late = sum(bool(one["late"]) for one in found)
    say(f"{', '.join(parts) or 'nothing'}{lag}{f', {late} late' if late else ''}")


async def _hindrances(client: Client) -> list[str]:
    """Tell of what is paused, and of libraries that do not answer."""
    found: dict[str, None] = {}
    for route in (await client.get("/v1/routes"))["routes"]:
        if route["paused"]:
            found[f"paused: route {route['name']}"] = None
        for library in route["libraries"]:
            if library["paused"]:
                found[f"paused: library {library['name']}"] = None
            if trouble := library.get("trouble"):  # which daemons of old do not tell
                found[f"tried again soon: library {library['name']}: {trouble}"] = None
    return list(found)
