"""The body of an upload."""

from collections.abc import AsyncIterator
from typing import Self

from meltemi.errors import CorruptionError, InterruptedTransfer


class Outgoing:
    """Passes exactly `size` bytes on, and remembers what went wrong: aiohttp hides a body's errors.

    The piece that completes the body is passed on only once the data has ended without an error,
    since nothing can be taken back after it.
    """

    def __init__(self, data: AsyncIterator[bytes], size: int, about: str) -> None:
        self._data = data
        self._left = size
        self._about = about
        self.taken = 0
        self.waiting = False
        self.ended = False
        self.error: Exception | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self.taken += 1
        self.waiting = True
        try:
            return await self._next()
        except StopAsyncIteration:
            self.ended = True
            raise
        except Exception as error:
            self.error = error
            raise
        finally:
            self.waiting = False

    async def _next(self) -> bytes:
        piece = await anext(self._data, None)
        if piece is None:
            if self._left:
                raise InterruptedTransfer(f"{self._about}: its data ends {self._left} bytes early")
            raise StopAsyncIteration
        self._left -= len(piece)
        if self._left == 0:
            async for surplus in self._data:
                self._left -= len(surplus)
        if self._left < 0:
            raise CorruptionError(f"{self._about}: more data than its size on record")
        return piece
