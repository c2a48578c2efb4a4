"""Requests that have no body."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from meltemi.errors import RefusedError
from meltemi.region.service import Call

Answer = Callable[[Call], Awaitable[web.StreamResponse]]


def bodiless(answer: Answer) -> Answer:
    """Refuse a request that has a body where none is expected."""

    async def handle(call: Call) -> web.StreamResponse:
        if call.request.can_read_body:
            raise RefusedError("A body is not expected with this request.")
        return await answer(call)

    return handle
