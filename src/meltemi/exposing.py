"""Where Prometheus reads: an address of its own, since whoever reaches it may read."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def exposed(
    listener: socket.socket, text: Callable[[], Awaitable[bytes]]
) -> AsyncIterator[None]:
    """Answer there with what is counted, in Prometheus' text format."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await text(), headers={"Content-Type": _TEXT})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()
