"""A TCP proxy that passes at most so many bytes a second towards a service, and counts."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_PIECE = 64 * 1024


class Counter:
    """Where a proxy listens, and how many bytes came out of its service when it ended."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.served = 0


@contextmanager
def capped(url: str, rate: float | None) -> Iterator[Counter]:
    """Run a proxy in a process of its own; `rate` in bytes a second, None for no limit."""
    command = [sys.executable, "-m", "bench.replicator.capped", url, str(rate or 0)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        counter = Counter(json.loads(process.stdout.readline())["url"])
        yield counter
        output, _ = process.communicate("end\n")
        counter.served = json.loads(output)["served"]


class _Proxy:
    def __init__(self, url: str, rate: float) -> None:
        parts = urlsplit(url)
        self._service = (parts.hostname, parts.port)
        self._rate = rate
        self._free_at = 0.0
        self.served = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._service)
        towards = asyncio.create_task(self._towards(reader, up_writer))
        with suppress(ConnectionError):
            while piece := await up_reader.read(_PIECE * 8):
                self.served += len(piece)
                writer.write(piece)
                await writer.drain()
        towards.cancel()
        for one in (writer, up_writer):
            one.close()

    async def _towards(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                if self._rate:
                    now = time.monotonic()
                    self._free_at = max(self._free_at, now) + len(piece) / self._rate
                    await asyncio.sleep(self._free_at - now)
                writer.write(piece)
                await writer.drain()
            writer.write_eof()


async def _serve(url: str, rate: float) -> None:
    proxy = _Proxy(url, rate)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, limit=_PIECE)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps({"served": proxy.served}), flush=True)


if __name__ == "__main__":
    with suppress(asyncio.CancelledError):
        asyncio.run(_serve(sys.argv[1], float(sys.argv[2])))
