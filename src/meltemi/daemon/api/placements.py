"""Placements: what is wanted and what is observed, and how it came about."""

import time
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from meltemi.daemon.api import documents
from meltemi.daemon.api.call import Call, answer
from meltemi.daemon.state.rows import change_of
from meltemi.daemon.state.views import Wanted
from meltemi.errors import UsageError
from meltemi.model.placement import Observed, Place

_FILTERS: Final = ("image", "source", "library", "route", "observed")
_TRUTH: Final = {"true": True, "false": False}


async def listing(call: Call) -> web.Response:
    """List placements, by source, image and library."""
    query = call.query(*_FILTERS, "late", "limit", "marker")
    limit, within, now = call.limit(query), call.within, time.time()
    wanted = await _wanted(call, query)
    after = _place(query["marker"]) if "marker" in query else None

    def shape(rows: Sequence[Any]) -> bytes:
        told = [documents.placement(row, now, within) for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        following = last and call.next(f"{last.source}/{last.image}/{last.library}")
        return documents.page("placements", told, following)

    return answer(await call.state.views.placements(wanted, after, limit + 1, shape))


async def history(call: Call) -> web.Response:
    """List what changed, the latest first."""
    query = call.query(*_FILTERS, "limit", "marker")
    wanted, before = await _wanted(call, query), call.before(query)
    return await call.numbered(
        "changes",
        lambda most, shape: call.state.views.changes(wanted, before, most, shape),
        lambda row: documents.change(change_of(row._mapping)),  # noqa: SLF001 - its public name
        query,
    )


async def _wanted(call: Call, query: dict[str, str]) -> Wanted:
    observed = query.get("observed")
    if observed is not None and observed not in {*Observed}:
        raise UsageError(f"observed has to be one of {', '.join(Observed)}")
    if query.get("late", "true") not in _TRUTH:
        raise UsageError("late has to be true or false")
    return Wanted(
        image=await call.image(query.get("image")),
        source=query.get("source"),
        library=call.known_library(query.get("library")),
        route=call.known_route(query.get("route")),
        observed=observed,
        owner=call.sender.project,
        late=call.late if _TRUTH[query.get("late", "false")] else None,
    )


def _place(marker: str) -> Place:
    source, _, rest = marker.partition("/")
    image, _, library = rest.rpartition("/")
    if not (source and image and library):
        raise UsageError("marker has to be what `next` of a page says")
    return Place(source, image, library)
