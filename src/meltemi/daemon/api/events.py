"""What changes, as it changes: server-sent events."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final

from aiohttp import web

from meltemi.daemon.api.call import Call, number
from meltemi.daemon.api.feed import Watcher
from meltemi.daemon.state.records import Change
from meltemi.daemon.state.views import Progress
from meltemi.errors import IdentityError, StateError, UnauthorizedError
from meltemi.model.role import Role

_log: Final = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 60.0
"""How long a watcher may take to read what was sent."""

_LARGEST: Final = 2**63 - 1


async def stream(call: Call) -> web.StreamResponse:
    """Send events until the watcher goes, may not watch any more, or the daemon stops."""
    query = call.query("image", "library", "route")
    call.known_library(query.get("library"))
    call.known_route(query.get("route"))
    last = number("Last-Event-ID", call.request.headers.get("Last-Event-ID"), 0, _LARGEST)
    request, watcher = call.request, _watcher(query, call.sender.project)
    response = web.StreamResponse(headers={"Cache-Control": "no-store"})
    response.content_type = "text/event-stream"
    try:
        async with aclosing(call.parts.feed.follow(last, watcher)) as sent:
            async for data in sent:
                if not response.prepared:
                    await response.prepare(request)
                elif not await _may_still(call):
                    break
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await response.write(data)
    except StateError as error:
        if not response.prepared:
            raise
        _log.warning("%s; a watcher is let go", error)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    return response


async def _may_still(call: Call) -> bool:
    """Say whether the sender may do still what they might do when they began."""
    try:
        sender = await call.parts.senders().authenticate(call.request.headers)
    except UnauthorizedError:
        return False
    except IdentityError:
        return True  # nobody can say so now
    return sender.may(Role.READER) and sender.project == call.sender.project


def _watcher(query: Mapping[str, str], project: str | None) -> Watcher:
    image, library, route = (query.get(name) for name in ("image", "library", "route"))

    def wants(what: Change | Progress) -> bool:
        return (
            (project is None or what.owner == project)
            and (image is None or image in (what.place.image, what.name))
            and library in (None, what.place.library)
            and route in (None, what.route)
        )

    return Watcher(wants, project)
