"""Sending data past what stands between a handler and its socket, which would copy all of it."""

import asyncio
from collections.abc import AsyncIterable
from typing import IO

from aiohttp import web

from meltemi.chunks.blob import Buffer
from meltemi.region.observing import note_past


async def send_file(request: web.Request, file: IO[bytes], offset: int, count: int) -> None:
    """Have the kernel send a part of a file, after the head of an answer."""
    if count:  # to sendfile, 0 means everything
        await asyncio.get_running_loop().sendfile(_transport(request), file, offset, count)
        note_past(request, count)


async def send_pieces(
    request: web.Request, response: web.StreamResponse, pieces: AsyncIterable[Buffer]
) -> None:
    """Send pieces of data after the head of an answer.

    What a socket does not take at once, asyncio's transport copies, and moves in memory each time
    that the socket takes some of it. So pieces go to the socket itself, as those of a file do. Not
    over TLS, which has to see them all.
    """
    transport = _transport(request)
    if transport.get_extra_info("sslcontext") is not None:
        async for piece in pieces:
            await response.write(piece)
        return
    transport.set_write_buffer_limits(high=0)
    await request.writer.drain()  # the head goes first
    sent = 0
    loop = asyncio.get_running_loop()
    # A socket of its own, since asyncio lets nobody send on a transport's.
    with transport.get_extra_info("socket").dup() as socket:
        socket.setblocking(False)
        async for piece in pieces:
            await loop.sock_sendall(socket, piece)
            sent += len(piece)
            note_past(request, sent)
    transport.set_write_buffer_limits()


def _transport(request: web.Request) -> asyncio.Transport:
    if request.transport is None:
        raise ConnectionResetError("the client is gone")
    return request.transport
