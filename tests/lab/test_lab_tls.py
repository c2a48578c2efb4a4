"""The proxy that ends TLS passes on whatever a server answers, as one that operators run would."""

import asyncio
import socket
import struct
import threading

from lab.tls_proxy import carry

ANSWER = b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n"


class Late(asyncio.StreamReader):
    """Has more to send once the server is gone, before anything else can happen."""

    def __init__(self, gone: threading.Event) -> None:
        super().__init__()
        self._gone = gone

    async def read(self, _: int = -1) -> bytes:
        self._gone.wait()
        return b"more"


async def test_an_answer_that_came_before_the_reset_is_passed_on() -> None:
    gone = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener.accept()[0] as link:
            link.sendall(ANSWER)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.set()

    thread = threading.Thread(target=serve)
    thread.start()
    front, client = socket.socketpair()
    with listener, client:
        _, writer = await asyncio.open_connection(sock=front)
        await carry(Late(gone), writer, listener.getsockname())
        await writer.wait_closed()
        assert client.recv(1000) == ANSWER
    thread.join()
