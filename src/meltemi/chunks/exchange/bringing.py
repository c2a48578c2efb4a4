"""Bringing an image over by pieces: batches several at once, and meanwhile its stretches in order.

How a batch is brought is the matter of whoever uses this: pushed by a replicator, or pulled by the
region that wants it.
"""

import asyncio
from bisect import bisect_right, insort
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final, NamedTuple

from meltemi.chunks.exchange.batch import LARGEST_BATCH
from meltemi.chunks.exchange.delta import Origin, Stretch
from meltemi.chunks.exchange.difference import Piece
from meltemi.chunks.exchange.gathering import Batch, Gathered, Gatherer
from meltemi.errors import InterruptedTransfer, MeltemiError

_BATCHES: Final = 3
"""Batches of an image that are on their way at the same time."""

_LEAST: Final = 2 * 2**20
"""Bytes of data in the first batch, and twice as many in each that follows: so what comes is soon
put together, and batches that share a link do not all arrive at its end. At the end it is half of
what is left, so that little has to be stored when the link has become idle.
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


class _Part(NamedTuple):
    """What has arrived: from where to where among all that was gathered, and its number."""

    begin: int
    end: int
    number: int


class Bringing:
    """One attempt to bring over what `difference` has found, for as long as its context lasts.

    A batch has at most `largest` bytes of data, which becomes less where connections break, and at
    most `most` pieces. Stretches are read while it is under way, by whoever and in whatever task;
    what goes wrong with batches is raised where they are read.
    """

    def __init__(
        self, found: AsyncGenerator[Stretch | Piece], largest: int, most: int, bring: Bring
    ) -> None:
        self.largest = largest
        self._most = most
        self._next = _LEAST
        self._found = found
        self._gatherer = Gatherer()
        self._is_all = False
        self._moved = asyncio.Event()
        self._bring = bring
        self._slots = asyncio.Semaphore(_BATCHES)
        self._parts: list[_Part] = []
        self._arrived = asyncio.Event()
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
                tasks.create_task(self._gather())
                await self._send(tasks)
        except BaseExceptionGroup as group:
            raise _first(group) from group

    async def _gather(self) -> None:
        """Gather pieces, as far ahead as stretches may wait; keep the stretches in their order."""
        async with aclosing(self._found) as found:
            async for one in found:
                line = self._gatherer.add(one) if isinstance(one, Piece) else one
                self._moved.set()
                await self._lines.put(line)
        self._is_all = True
        self._moved.set()
        await self._lines.put(None)

    async def _send(self, tasks: asyncio.TaskGroup) -> None:
        """Bring over what was gathered, as soon as it is enough for a batch."""
        while True:
            await self._slots.acquire()
            while not self._is_enough():
                self._moved.clear()
                await self._moved.wait()
            batch = self._gatherer.take(self._most, self._wanted())
            if batch is None:
                return
            self._next = min(2 * self._next, LARGEST_BATCH)
            tasks.create_task(self._transfer(batch))

    def _is_enough(self) -> bool:
        """Say whether a batch is to go: what is at the front of the stretches may wait for it."""
        gathered = self._gatherer
        is_full = gathered.size >= self._wanted() or gathered.count >= self._most
        return self._is_all or (gathered.count > 0 and (is_full or self._lines.full()))

    def _wanted(self) -> int:
        """Say how many bytes of data the next batch is to have."""
        wanted = min(self._next, self.largest)
        if self._is_all:
            wanted = min(wanted, max(_LEAST, self._gatherer.size // 2))
        return wanted

    async def _transfer(self, batch: Batch) -> None:
        """Bring a batch over; what breaks is brought in smaller ones."""
        try:
            waiting: list[Sequence[Piece]] = [batch.pieces]
            begin = batch.begin
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
                    end = begin + _size(pieces)
                    insort(self._parts, _Part(begin, end, number))
                    self._arrived.set()
                    begin = end
        finally:
            self._slots.release()

    def _lessen(self, size: int) -> None:
        self.largest = min(self.largest, size)

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
                while (stretch := self._there(line)) is None and not ready:
                    self._arrived.clear()
                    await self._arrived.wait()
                if stretch is None:
                    break
                line = stretch
            ready.append(line)
            self._front = None
        return ready

    def _there(self, line: Gathered) -> Stretch | None:
        """Give what was gathered as a stretch of a part, if it is there."""
        place = bisect_right(self._parts, line.at, key=lambda part: part.begin) - 1
        if place < 0 or line.at >= self._parts[place].end:
            return None
        begin, _, number = self._parts[place]
        return Stretch(line.length, Origin.PART, number, line.at - begin)

    def _must_wait(self) -> bool:
        return self._front is None and self._lines.empty()


def _size(pieces: Sequence[Piece]) -> int:
    return sum(piece.entry.length for piece in pieces)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the error that counts of several that came of one cause."""
    errors = [error for error in group.exceptions if isinstance(error, MeltemiError)]
    return errors[0] if errors else group.exceptions[0]
