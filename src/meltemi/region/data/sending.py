"""Sending data past what stands between a handler and its socket, which would copy all of it."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import IO

from aiohttp import web

from meltemi.chunks.blob import Buffer
from meltemi.errors import DamageError
from meltemi.region.observing import note_past


async def send_file(request: web.Request, file: IO[bytes], offset: int, count: int) -> None:
    """Have the kernel send a part of a file, after the head of an answer.

    Raise DamageError where the file is shorter than that, or cannot be read.
    """
    if not count:  # to sendfile, 0 means everything
        return
    with _breaking_off():
        sent = await asyncio.get_running_loop().sendfile(_transport(request), file, offset, count)
    note_past(request, sent)
    _must_be_all(sent, count)


async def send_pieces(
    request: web.Request,
    response: web.StreamResponse,
    pieces: AsyncIterator[Buffer],
    count: int,
) -> None:
    """Send an answer of so many bytes, which begins once the first piece of data is there.

    Until then, what is wrong with the data can be answered. Raise DamageError where other than so
    many bytes come.

    What a socket does not take at once, asyncio's transport copies, and moves in memory each time
    that the socket takes some of it. So pieces go to the socket itself, as those of a file do. Not
    over TLS, which has to see them all.
    """
    piece = await anext(pieces, b"")
    await response.prepare(request)
    transport = _transport(request)
    sent = len(piece)
    if transport.get_extra_info("sslcontext") is not None:
        await response.write(piece)
        async for piece in pieces:
            sent += len(piece)
            await response.write(piece)
        _must_be_all(sent, count)
        return
    transport.set_write_buffer_limits(high=0)
    await request.writer.drain()  # the head goes first
    loop = asyncio.get_running_loop()
    # A socket of its own, since asyncio lets nobody send on a transport's.
    with transport.get_extra_info("socket").dup() as socket, _breaking_off():
        socket.setblocking(False)
        await loop.sock_sendall(socket, piece)
        note_past(request, sent)
        async for piece in pieces:
            await loop.sock_sendall(socket, piece)
            sent += len(piece)
            note_past(request, sent)
    transport.set_write_buffer_limits()
    _must_be_all(sent, count)


def _transport(request: web.Request) -> asyncio.Transport:
    if request.transport is None:
        raise ConnectionResetError("the client is gone")
    return request.transport


def _must_be_all(sent: int, count: int) -> None:
    """Raise DamageError where an answer has not the length that its head says."""
    if sent != count:
        raise DamageError(f"{sent} bytes of data were there, and not {count}")


@contextmanager
def _breaking_off() -> Iterator[None]:
    """Take whatever a socket fails with for a client that is gone: as a host without power."""
    try:
        yield
    except ConnectionError:
        raise
    except OSError as error:
        if error.errno == errno.EIO:
            raise DamageError(f"what is sent cannot be read: {error.strerror}") from error
        raise ConnectionResetError(str(error)) from error
