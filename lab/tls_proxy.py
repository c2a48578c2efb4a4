"""A proxy that ends TLS: run with its port, the port behind it, and a certificate."""

import asyncio
import contextlib
import socket
import ssl
import sys

_BLOCK = 1 << 18


async def carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: tuple[str, int]
) -> None:
    """Pass on what a client sends to the server at an address, and its answer, to its end.

    The server's answer counts however sending to it ends: it may answer before it has read all,
    and reset the connection. A stream of asyncio would lose that answer where it sends first.
    """
    loop = asyncio.get_running_loop()
    with socket.socket() as inner:
        inner.setblocking(False)

        async def send() -> None:
            with contextlib.suppress(OSError):
                while block := await reader.read(_BLOCK):
                    await loop.sock_sendall(inner, block)
                inner.shutdown(socket.SHUT_WR)

        with contextlib.suppress(OSError):
            await loop.sock_connect(inner, address)
            sending = asyncio.create_task(send())
            try:
                while block := await loop.sock_recv(inner, _BLOCK):
                    writer.write(block)
                    await writer.drain()
            finally:
                sending.cancel()
                await asyncio.wait([sending])
    writer.close()


async def _serve(port: int, target: int, certificate: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await carry(reader, writer, ("127.0.0.1", target))

    server = await asyncio.start_server(answer, "127.0.0.1", port, ssl=context, limit=_BLOCK)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
