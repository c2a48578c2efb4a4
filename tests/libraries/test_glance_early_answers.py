"""A service that answers before it has read all, and resets the connection, as Glance does."""

import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from meltemi.errors import InterruptedTransfer, QuotaError
from meltemi.libraries.base import Library
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress

VERSIONS: Final = b'{"versions": [{"id": "v2.17"}]}'
REFUSAL: Final = b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\nno room!"
PIECE: Final = b"x" * 1000


class Hasty:
    """Answers an upload as soon as it has begun, with `answer`; `gone` is set after the reset."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = LibraryAddress(url=f"http://127.0.0.1:{self._listener.getsockname()[1]}")
        self.gone = threading.Event()

    def serve(self) -> None:
        """Take two connections: the question for the versions, and the upload."""
        with self._listener:
            with self._listener.accept()[0] as link:
                link.recv(65536)
                link.sendall(b"HTTP/1.1 300 Many\r\nConnection: close\r\nContent-Length: ")
                link.sendall(b"%d\r\n\r\n%s" % (len(VERSIONS), VERSIONS))
            with self._listener.accept()[0] as link:
                link.recv(65536)
                link.sendall(self._answer)
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.gone.set()


@contextmanager
def hasty(answer: bytes) -> Iterator[Hasty]:
    """Run such a service."""
    server = Hasty(answer)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield server
    thread.join()


async def upload(server: Hasty) -> None:
    """Send a piece, and the next one only after the reset, before the loop looks for an answer."""

    async def data() -> AsyncIterator[bytes]:
        yield PIECE
        server.gone.wait()
        for _ in range(3):
            yield PIECE

    library: Library = await open_library(server.address, name="it", silence=30)
    try:
        await library.upload("1", 4 * len(PIECE), data())
    finally:
        await library.close()


async def test_an_answer_that_came_before_the_reset_counts() -> None:
    with hasty(REFUSAL) as server, pytest.raises(QuotaError, match="413: no room!"):
        await upload(server)


@pytest.mark.parametrize("answer", [b"", REFUSAL[:20]], ids=["none", "half of one"])
async def test_a_reset_without_an_answer_is_an_interruption(answer: bytes) -> None:
    with hasty(answer) as server, pytest.raises(InterruptedTransfer, match="the connection broke"):
        await upload(server)
