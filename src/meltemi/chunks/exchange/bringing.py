"""Bringing an image over by pieces: batches several at once, and meanwhile its stretches in order.

How a batch is brought is the matter of whoever uses this: pushed by a replicator, or pulled by the
region that wants it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final

from meltemi.chunks.exchange.delta import Stretch
from meltemi.chunks.exchange.difference import Piece
from meltemi.chunks.exchange.gathering import Batch, Gathered, Gatherer
from meltemi.errors import InterruptedTransfer, MeltemiError

_BATCHES: Final = 3
"""Batches of an image that are on their way at the same time."""

_FIRST: Final = 2 * 2**20
"""Bytes of data in the first batch, and twice as many in each that follows: so what comes is soon
put together, and batches that share a link do not all arrive at its end.
"""

_LINES: Final = 16_384
"""Stretches that wait for batches before them."""

_TOGETHER: Final = 1024
"""Stretches that are given at once."""

_FEWER: Final = 4
"""Into how many smaller ones a batch is divided that did not get through."""

_PAUSE_SECONDS: Final = 0.2

Bring = Callable[[Sequence[Piece]], Awaitable[int]]
"""Brings pieces over, and gives the number of the part that they are there.

InterruptedTransfer says that fewer of them may get through.
"""


class Bringing:
    """One attempt to bring over what `difference` has found.

    A batch has at most `largest` bytes of data, which becomes less where connections break, and at
    most `most` pieces. Stretches are read while it is under way, by whoever and in whatever task;
    what goes wrong with batches is raised where they are read.
    """

    def __init__(
        self, found: AsyncGenerator[Stretch | Piece], largest: int, most: int, bring: Bring
    ) -> None:
        self.largest = largest
        self._found = found
        self._gatherer = Gatherer(min(_FIRST, largest), most)
        self._bring = bring
        self._slots = asyncio.Semaphore(_BATCHES)
        self._lines: asyncio.Queue[Stretch | Gathered | None] = asyncio.Queue(_LINES)
        self._front: Stretch | Gathered | None = None

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[AsyncGenerator[list[Stretch]]]:
        """Bring batches over; meanwhile give the image's stretches, as many at once as are there.

        A stretch of a part is given once the part is there.
        """
        working = asyncio.create_task(self._work())
        try:
            yield self._stretches(working)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _stretches(self, working: asyncio.Task[None]) -> AsyncGenerator[list[Stretch]]:
        while True:
            ready = asyncio.create_task(self._ready())
            try:
                await asyncio.wait([working, ready], return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    working.result()
                stretches = await ready
            finally:
                ready.cancel()
                await asyncio.gather(ready, return_exceptions=True)
            if not stretches:
                return
            yield stretches

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._gather(tasks)
        except BaseExceptionGroup as group:
            raise _first(group) from group

    async def _gather(self, tasks: asyncio.TaskGroup) -> None:
        """Fill batches and bring each when it is full; keep the stretches in their order."""

        async def flush() -> None:
            if (batch := self._gatherer.take()) is not None:
                self._gatherer.largest = min(2 * self._gatherer.largest, self.largest)
                await self._slots.acquire()
                tasks.create_task(self._transfer(batch))

        async with aclosing(self._found) as found:
            async for one in found:
                if isinstance(one, Piece) and not self._gatherer.fits(one):
                    await flush()
                line = self._gatherer.add(one) if isinstance(one, Piece) else one
                if self._lines.full():  # what is at its front may wait for the batch at hand
                    await flush()
                await self._lines.put(line)
        await flush()
        await self._lines.put(None)

    async def _transfer(self, batch: Batch) -> None:
        """Bring a batch over; what breaks is brought in smaller ones."""
        try:
            waiting: list[Sequence[Piece]] = [batch.pieces]
            begin = 0
            while waiting:
                pieces = waiting.pop()
                try:
                    number = await self._bring(pieces)
                except InterruptedTransfer as error:
                    if len(pieces) == 1:
                        error.repeated = True
                        raise
                    await asyncio.sleep(_PAUSE_SECONDS)
                    few = -(-len(pieces) // _FEWER)
                    smaller = [pieces[n : n + few] for n in range(0, len(pieces), few)]
                    waiting += reversed(smaller)
                    self._lessen(max(map(_size, smaller)))
                else:
                    batch.parts.append((begin, number))
                    begin += _size(pieces)
            batch.pieces = []
            batch.sent.set()
        finally:
            self._slots.release()

    def _lessen(self, size: int) -> None:
        self._gatherer.largest = self.largest = min(self.largest, size)

    async def _ready(self) -> list[Stretch]:
        """Give the next stretches, at least one, as far as what they name is there.

        None at the end.
        """
        ready: list[Stretch] = []
        while len(ready) < _TOGETHER and not (ready and self._must_wait()):
            line = self._front or await self._lines.get()
            self._front = line
            if line is None:
                self._lines.put_nowait(None)
                break
            if isinstance(line, Gathered):
                if ready and not line.batch.sent.is_set():
                    break
                await line.batch.sent.wait()
                line = line.stretch()
            ready.append(line)
            self._front = None
        return ready

    def _must_wait(self) -> bool:
        return self._front is None and self._lines.empty()


def _size(pieces: Sequence[Piece]) -> int:
    return sum(piece.entry.length for piece in pieces)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the error that counts of several that came of one cause."""
    errors = [error for error in group.exceptions if isinstance(error, MeltemiError)]
    return errors[0] if errors else group.exceptions[0]
