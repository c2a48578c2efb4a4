"""Where Prometheus reads: an address of its own, since whoever reaches it may read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from meltemi.region.metering import summed

_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Exposition:
    """The listening socket, and the folder in which all processes count."""

    listener: socket.socket
    folder: Path

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Answer there, beside other processes that do."""

        async def metrics(_: web.Request) -> web.Response:
            body = await asyncio.to_thread(summed, self.folder)
            return web.Response(body=body, headers={"Content-Type": _TEXT})

        app = web.Application()
        app.router.add_get("/metrics", metrics)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.SockSite(runner, self.listener).start()
            yield
        finally:
            await runner.cleanup()
