"""A proxy in front of a real service that misbehaves on request, and counts.

It speaks HTTP only as far as it must: one request a connection, heads read, bodies passed on.
"""

import asyncio
import contextlib
import fcntl
import re
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

PATIENCE: Final = 300
"""Seconds after which what has not happened is not going to, however busy the machine is."""

_PIECE: Final = 64 * 2**10
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RANGE: Final = re.compile(rb"\r\nrange: *bytes=(\d+)-", re.IGNORECASE)
_KEPT: Final = re.compile(rb"\r\nConnection: [^\r]*", re.IGNORECASE)

FILE: Final = r"/file$"
"""The path of an image's data."""


@dataclass
class Fault:
    """What happens to requests of a method and a path (a regular expression), `times` times.

    `answer` is given instead of passing the request on. `cut_answer` and `cut_body` break the
    connection after so many bytes of a body on its way to the client (-1: before the answer's
    head) or to the service; `hang` stops there (or at once) and keeps the connection. `alter`
    inverts the byte at that place of the answer's body. `rate` caps bytes a second, either way.
    `before` is called first, or, with `at`, once so many bytes of a body have passed, and nothing
    passes until it returns; `body` is what `answer` says.
    """

    method: str
    path: str
    times: float = float("inf")
    answer: int | None = None
    body: str = "the proxy says so"
    cut_answer: int | None = None
    cut_body: int | None = None
    hang: bool = False
    alter: int | None = None
    rate: int | None = None
    before: Callable[[], object] | None = None
    at: int = 0

    async def call(self, moved: int) -> None:
        """Call `before` where this is the place for it."""
        if self.before is not None and moved == self.at:
            await asyncio.to_thread(self.before)

    def matches(self, method: str, path: str) -> bool:
        """Say whether a request is meant, and count it."""
        fits = method == self.method and re.search(self.path, path) is not None
        if fits and self.times > 0:
            self.times -= 1
            return True
        return False


@dataclass
class Request:
    """One request that came, the bytes of the bodies passed on, and whether it hangs."""

    method: str
    path: str
    offset: int
    sent: int = 0
    answered: int = 0
    hangs: bool = False


@dataclass
class Proxy:
    """Listens on a port of its own for as long as a `with` block lasts."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    deaf_to_ranges: bool = False
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        host, _, port = self.upstream.removeprefix("http://").rpartition(":")
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    def __str__(self) -> str:
        return self.url

    def fault(self, *faults: Fault) -> None:
        """Replace what goes wrong from now on."""
        self.faults = list(faults)

    def of(self, method: str, path: str) -> list[Request]:
        """Give the requests of a method and a path so far."""
        return [r for r in self.requests if r.method == method and re.search(path, r.path)]

    def wait_for(
        self, method: str, path: str, *, bytes_moved: int = 0, hanging: bool = False
    ) -> Request:
        """Wait until such a request has come and moved so many bytes, or hangs."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for request in self.of(method, path):
                if request.sent + request.answered >= bytes_moved and request.hangs >= hanging:
                    return request
            time.sleep(0.005)
        raise AssertionError(f"no {method} {path} of {bytes_moved} bytes: {self.requests}")

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener, limit=_PIECE)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.05)  # a connection is closed by the loop, after whoever closes it

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                await self._handle(head, reader, writer)
            except _BrokenOffError:
                _reset(writer)
            finally:
                writer.close()

    async def _handle(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        offset = int(found[1]) if (found := _RANGE.search(head)) else 0
        request = Request(method, path.partition("?")[0], offset)
        self.requests.append(request)
        fault = next((f for f in self.faults if f.matches(method, request.path)), None)
        fault = fault or Fault("", "")
        await fault.call(0)
        if fault.answer is not None:
            await _answer(fault, writer)
            return
        if fault.hang and fault.cut_body is None and fault.cut_answer is None:
            await _hang(request)
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._upstream, limit=_PIECE)
        except OSError:
            raise _BrokenOffError from None
        try:
            head = _RANGE.sub(b"\r\nX-Range: no", head) if self.deaf_to_ranges else head
            up_writer.write(_KEPT.sub(b"", head[:-4]) + b"\r\nConnection: close\r\n\r\n")
            length = float(found[1]) if (found := _LENGTH.search(head)) else 0
            if b"transfer-encoding: chunked" in head.lower():
                length = float("inf")  # nobody looks for its end: who has his answer goes away
            if b"100-continue" in head.lower():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            answering = asyncio.create_task(self._pass_answer(request, fault, up_reader, writer))
            sending = asyncio.create_task(
                self._pass_body(request, fault, length, reader, up_writer)
            )
            try:
                await asyncio.wait([answering, sending], return_when=asyncio.FIRST_EXCEPTION)
                if sending.done():
                    sending.result()
                await answering
            finally:
                sending.cancel()
                answering.cancel()
                await asyncio.gather(sending, answering, return_exceptions=True)
        finally:
            _reset(up_writer)

    async def _pass_body(
        self,
        request: Request,
        fault: Fault,
        length: float,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        while request.sent < length:
            piece = await reader.read(_step(request.sent, length, fault.cut_body, fault.at))
            if not piece:
                raise _BrokenOffError
            writer.write(piece)
            await writer.drain()
            request.sent += len(piece)
            await fault.call(request.sent)
            if request.sent == fault.cut_body:
                await _break_off(fault, request, writer)
            if fault.rate:
                await asyncio.sleep(len(piece) / fault.rate)
        # A client that goes away takes the request with it.
        if not await reader.read(1):
            raise _BrokenOffError

    async def _pass_answer(
        self,
        request: Request,
        fault: Fault,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if fault.cut_answer == -1:
            await _break_off(fault, request, writer)
        writer.write(head)
        while piece := await reader.read(_step(request.answered, fault.at)):
            start = request.answered
            if fault.alter is not None and start <= fault.alter < start + len(piece):
                place = fault.alter - start
                piece = piece[:place] + bytes([piece[place] ^ 255]) + piece[place + 1 :]
            if fault.cut_answer is not None and start + len(piece) > fault.cut_answer:
                writer.write(piece[: fault.cut_answer - start])
                await writer.drain()
                request.answered = fault.cut_answer
                await _break_off(fault, request, writer)
            writer.write(piece)
            await writer.drain()
            request.answered += len(piece)
            await fault.call(request.answered)
            if fault.rate:
                await asyncio.sleep(len(piece) / fault.rate)
        # Its length is over, whatever is still on its way up.
        if writer.can_write_eof():
            writer.write_eof()


class _BrokenOffError(Exception):
    """The connection is to end without a word."""


def _step(moved: int, *stops: float | None) -> int:
    """Give how many bytes may pass at once so that none of these places is passed by."""
    left = [stop - moved for stop in stops if stop is not None and stop > moved]
    return int(min([_PIECE, *left]))


async def _hang(request: Request) -> None:
    request.hangs = True
    await asyncio.Event().wait()


async def _break_off(fault: Fault, request: Request, writer: asyncio.StreamWriter) -> None:
    if fault.hang:
        await _hang(request)
    # What was written is to arrive before the connection breaks: a reset drops what is on its way.
    while not writer.transport.is_closing() and _on_its_way(writer):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.005)
    raise _BrokenOffError


def _on_its_way(writer: asyncio.StreamWriter) -> int:
    """Count the bytes that were written and that the other end's kernel does not have."""
    link = writer.get_extra_info("socket")
    unacknowledged = fcntl.ioctl(link.fileno(), termios.TIOCOUTQ, bytes(4))
    return writer.transport.get_write_buffer_size() + int.from_bytes(unacknowledged, sys.byteorder)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a crash does."""
    link = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _answer(fault: Fault, writer: asyncio.StreamWriter) -> None:
    body = fault.body.encode()
    media_type = "application/json" if body.startswith(b"{") else "text/plain"
    # As Glance does, without reading the rest of the request first.
    writer.write(
        f"HTTP/1.1 {fault.answer} Because\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: {media_type}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    await writer.drain()


@contextmanager
def answering(body: str, status: int = 200) -> Iterator[str]:
    """Stand in for a service that gives one answer to everything; gives its URL."""
    faults = [Fault(method, "", answer=status, body=body) for method in ("GET", "POST")]
    with Proxy("127.0.0.1:1", faults) as proxy:
        yield proxy.url
