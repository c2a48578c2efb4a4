"""A proxy that ends TLS: run with its port, the port behind it, and a certificate."""

import asyncio
import contextlib
import ssl
import sys

_BLOCK = 1 << 18


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()
        # TLS knows no half-closed connection, and a client may still be reading.
        if writer.can_write_eof():
            writer.write_eof()


async def _serve(port: int, target: int, certificate: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_connection(
                "127.0.0.1", target, limit=_BLOCK
            )
            upward = asyncio.create_task(_pump(reader, inner_writer))
            await _pump(inner_reader, writer)
            upward.cancel()
            inner_writer.close()
        writer.close()

    server = await asyncio.start_server(carry, "127.0.0.1", port, ssl=context, limit=_BLOCK)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
