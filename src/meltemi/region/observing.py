"""What is noted around every request: a line in the log, and counters."""

import logging
import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from meltemi.region.context import Context
from meltemi.region.logs import REQUEST, About
from meltemi.region.metering import Meter

_log: Final = logging.getLogger(__name__)

WENT_AWAY: Final = 499
"""The status of a request whose sender did not wait for the answer; nginx calls it so, too."""

PROBES: Final = frozenset({"/healthcheck", "/readyz"})
"""Paths that are asked every few seconds, by nobody in particular."""

_BEGUN: Final = web.RequestKey("begun", web.StreamResponse)
_PAST: Final = web.RequestKey("file", int)
_ROUTE: Final = web.RequestKey("route", str)


def observing(meter: Meter) -> Middleware:
    """Make what goes around every request."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        note_route(request, request.match_info)
        about = About(request.method, request.rel_url.raw_path)
        token = REQUEST.set(about)
        began = time.perf_counter()
        response: web.StreamResponse | None = None
        try:
            response = await handler(request)
            return response
        finally:
            if response is None and request.writer.length == request.get(_PAST, 0):
                # Whoever has got all of an answer may leave before the handler is done with it.
                response = request.get(_BEGUN)
            status = response.status if response is not None else WENT_AWAY
            seconds = time.perf_counter() - began
            meter.count(
                request.method,
                request.get(_ROUTE),
                status,
                seconds=seconds,
                received=request.content.total_bytes,
                sent=_sent(request, response),
            )
            _log.log(
                logging.DEBUG if about.path in PROBES else logging.INFO,
                "%s %s: %d",
                about.method,
                about.path,
                status,
                extra={"facts": {"status": status, "duration": round(seconds, 6)}},
            )
            REQUEST.reset(token)

    return observe


def note_sender(context: Context) -> None:
    """Note who sent the request that is being answered."""
    if about := REQUEST.get():
        about.request_id = context.request_id
        about.user = context.user
        about.project = context.project


def note_answer(request: web.Request, response: web.StreamResponse) -> None:
    """Note an answer that begins to be sent."""
    request[_BEGUN] = response


def note_past(request: web.Request, count: int) -> None:
    """Note bytes that went to the socket past the answer."""
    request[_PAST] = count


def cut_short(request: web.Request) -> None:
    """Break the connection where an answer has begun, so that nothing passes for its rest."""
    if _BEGUN in request and request.transport is not None:
        request.transport.abort()


def note_route(request: web.Request, found: web.UrlMappingMatchInfo) -> None:
    """Note which of the API's paths a request is for."""
    if (resource := found.route.resource) is not None:
        request[_ROUTE] = resource.canonical


def _sent(request: web.Request, response: web.StreamResponse | None) -> int:
    """Give how many bytes were sent, or will be once this answer is."""
    past: int = request.get(_PAST, 0)
    if written := int(request.writer.output_size):
        return written + past
    return response.content_length or 0 if response is not None else 0
