"""Requests that are being answered, so that a stopping server can wait for them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

_LOOK_SECONDS: Final = 0.02


class InFlight:
    """Counts what has begun and not ended."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()
        self.is_ending = False

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one request for as long as it is being answered."""
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def landed(self, timeout: float) -> bool:  # noqa: ASYNC109 - it is what the operator set
        """Wait until nothing is in flight, for so many seconds; say whether it came to that.

        From now on it is ending: what is answered still is the last on its connection.
        """
        self.is_ending = True
        try:
            async with asyncio.timeout(timeout):
                await self._none.wait()
        except TimeoutError:
            return False
        return True


async def closed(transports: Sequence[asyncio.BaseTransport], timeout: float) -> bool:  # noqa: ASYNC109
    """Wait until connections are closed, which they are once the kernel has all that was written.

    It takes no longer than so many seconds; say whether it came to that.
    """
    sockets = [transport.get_extra_info("socket") for transport in transports]
    try:
        async with asyncio.timeout(timeout):
            while any(socket.fileno() >= 0 for socket in sockets):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return False
    return True
