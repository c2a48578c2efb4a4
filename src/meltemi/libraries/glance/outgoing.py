"""The body of an upload."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

from meltemi.errors import CorruptionError, InterruptedTransfer, SilentError


class Outgoing:
    """Passes exactly `size` bytes on, and remembers what went wrong: aiohttp hides a body's errors.

    The piece that completes the body is passed on only once the data has ended without an error,
    since nothing can be taken back after it. What has no `size` says itself whether it is whole.
    """

    def __init__(self, data: AsyncIterator[bytes], size: int | None, about: str) -> None:
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
        if self._left is None:
            if piece is None:
                raise StopAsyncIteration
            return piece
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


async def watched(
    sending: Awaitable[None],
    source: Outgoing,
    *,
    silence: float,
    about: str,
    library: str,
    is_at_work: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Wait until a body is sent, watching that the service keeps taking it.

    Raise SilentError where it has taken nothing for `silence` seconds. `is_at_work` is asked as
    often once it has taken all, and says whether an answer is still to come.
    """
    task = asyncio.ensure_future(sending)
    try:
        seen = -1
        while not task.done() and (seen != source.taken or source.waiting or source.ended):
            seen = source.taken
            await asyncio.wait([task], timeout=silence)
            over = source.ended and not task.done()
            if over and is_at_work is not None and not await is_at_work():
                break
        if task.done():
            await task
            return
    except InterruptedTransfer:
        if source.error is not None:
            raise source.error from None
        raise
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    raise SilentError(
        f"{about}: nothing taken for {silence:g} seconds; see --timeout", library=library
    )
