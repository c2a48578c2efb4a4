"""A TCP proxy behind which a service is as far away as light makes it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

ROUND_TRIP: Final = 0.04
"""Seconds."""

_PIECE: Final = 64 * 1024
_UNDER_WAY: Final = 64
"""Pieces that are on their way, each way of a connection: more than a link takes up meanwhile."""


@contextmanager
def delayed(url: str) -> Iterator[str]:
    """Run a proxy in a process of its own; give the address at which the service is farther."""
    command = [sys.executable, "-m", "bench.exchange.delay", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


class _Proxy:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._service = (parts.hostname, parts.port)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(ROUND_TRIP)  # for the handshake
        up_reader, up_writer = await asyncio.open_connection(*self._service)
        towards = asyncio.create_task(_pass(reader, up_writer))
        await _pass(up_reader, writer)
        towards.cancel()
        for one in (writer, up_writer):
            one.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, each piece half a round trip later."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)
    now = asyncio.get_running_loop().time

    async def arrive() -> None:
        while True:
            due, piece = await under_way.get()
            await asyncio.sleep(due - now())
            with suppress(OSError):  # who waited for it may be gone
                if not piece:
                    writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(arrive())
        piece = b"more"
        while piece:
            try:
                piece = await reader.read(_PIECE)
            except ConnectionError:
                piece = b""
            await under_way.put((now() + ROUND_TRIP / 2, piece))


async def _serve(url: str) -> None:
    proxy = _Proxy(url)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, limit=_PIECE)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
