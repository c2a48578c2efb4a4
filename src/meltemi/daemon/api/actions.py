"""What operators do: ask for runs and retries, pause and resume; and the log of who did."""

import time
from typing import Final

from aiohttp import web

from meltemi.daemon.api import documents
from meltemi.daemon.api.call import Call, told
from meltemi.daemon.state.records import Cause, Held, Pause, Request
from meltemi.daemon.state.rows import act_of, run_of
from meltemi.errors import UsageError, VanishedError

_ACCEPTED: Final = 202


async def runs(call: Call) -> web.Response:
    """List runs, the latest first."""
    query = call.query("route", "limit", "marker")
    route, before = call.known_route(query.get("route")), call.before(query)
    return await call.numbered(
        "runs",
        lambda most, shape: call.state.views.runs(route, before, most, shape),
        lambda row: documents.run(
            run_of(row._mapping),  # noqa: SLF001 - its public name
            with_holder=call.names_processes,
        ),
        query,
    )


async def run(call: Call) -> web.Response:
    """Have routes looked at."""
    return await _ask(call, Cause.REQUEST, "run")


async def retry(call: Call) -> web.Response:
    """Have what failed tried again at once."""
    return await _ask(call, Cause.RETRY, "retry")


async def _ask(call: Call, cause: Cause, action: str) -> web.Response:
    call.query()
    body = await call.json("route", "library", "image")
    request = Request(
        cause=cause,
        at=time.time(),
        route=call.known_route(body.get("route")),
        image=await call.image(body.get("image")),
        library=call.known_library(body.get("library")),
    )
    asked = {"route": request.route, "library": request.library, "image": request.image}
    subject = ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None)
    await call.state.ask(request, call.act(action, subject or "everything"))
    return told(asked, _ACCEPTED)


async def pauses(call: Call) -> web.Response:
    """List what is paused."""
    call.query()
    return told({"pauses": [documents.pause(one) for one in await call.state.pauses()]})


async def pause(call: Call) -> web.Response:
    """Leave a route or a library alone."""
    kind, name = _held(call)
    made = Pause(kind, name, time.time(), call.sender.who)
    await call.state.pause(made, call.act("pause", f"{kind} {name}"))
    return web.Response(status=204)


async def resume(call: Call) -> web.Response:
    """Go on with what was paused."""
    kind, name = _held(call, known=False)
    if not await call.state.resume(kind, name, call.act("resume", f"{kind} {name}")):
        _held(call)
        raise VanishedError(f"{kind} {name} is not paused")
    return web.Response(status=204)


def _held(call: Call, *, known: bool = True) -> tuple[Held, str]:
    """Give what the path names; what is paused may have left the configuration since."""
    call.query()
    named, name = call.path("kind"), call.path("name")
    if named not in {*Held}:
        raise UsageError(f"what is paused is one of {', '.join(Held)}")
    kind = Held(named)
    if known and kind is Held.ROUTE:
        call.known_route(name)
    elif known:
        call.known_library(name)
    return kind, name


async def audit(call: Call) -> web.Response:
    """List what was done and who did it, the latest first."""
    query = call.query("limit", "marker")
    before = call.before(query)
    return await call.numbered(
        "acts",
        lambda most, shape: call.state.views.acts(before, most, shape),
        lambda row: documents.act(act_of(row._mapping)),  # noqa: SLF001 - its public name
        query,
    )
