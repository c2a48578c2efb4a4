"""Usage: what projects can be charged for."""

import time
from datetime import date

from aiohttp import web

from meltemi.daemon.api import documents
from meltemi.daemon.api.call import Call, answer
from meltemi.daemon.metering import Entry
from meltemi.daemon.state.usage import Asked
from meltemi.errors import UsageError


async def listing(call: Call) -> web.Response:
    """List usage, by day, project and library."""
    query = call.query("from", "to", "project", "library", "limit", "marker")
    limit, now = call.limit(query), time.time()
    after = _entry(query["marker"]) if "marker" in query else None
    first = _day("from", query.get("from"))
    asked = Asked(
        first=first if after is None else max(first or "", after.day),
        last=_day("to", query.get("to")),
        project=query.get("project"),
        library=query.get("library"),
        owner=call.sender.project,
    )
    found = [one for one in await call.state.usage.read(asked, now) if one[0] > (after or ())]
    if not found:  # of one that is a target no more there may be some
        call.known_library(asked.library)
    told = [documents.usage(*one) for one in found[:limit]]
    following = call.next("/".join(found[limit - 1][0])) if len(found) > limit else None
    return answer(
        documents.encode({"usage": told, "until": documents.moment(now), "next": following})
    )


def _day(name: str, text: str | None) -> str | None:
    try:
        # Python reads other forms as well.
        is_day = text is None or date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_day = False
    if not is_day:
        raise UsageError(f"{name} has to be a day, as 2026-11-26")
    return text


def _entry(marker: str) -> Entry:
    day, _, rest = marker.partition("/")
    project, between, library = rest.rpartition("/")
    if not (day and between and library):
        raise UsageError("marker has to be what `next` of a page says")
    return Entry(day, project, library)
