"""Sending an image by pieces: batches several at once, and meanwhile the delta."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import Final

import stamina

from meltemi.chunks.exchange.batch import LARGEST_BATCH
from meltemi.chunks.exchange.delta import (
    MOST_PARTS,
    Outline,
    Stretch,
    encode_outline,
    encode_stretch,
)
from meltemi.chunks.exchange.difference import Piece
from meltemi.errors import (
    ConflictError,
    ImageError,
    InterruptedTransfer,
    MeltemiError,
    RefusedError,
    is_passing,
)
from meltemi.libraries.exchanging import Giver, Span
from meltemi.model.image import Image
from meltemi.replication.exchange.comparing import Comparison, Ends, compare
from meltemi.replication.exchange.gathering import Batch, Gathered, Gatherer, Joiner
from meltemi.replication.limits import Throttle

BATCHES: Final = 4
"""Batches of all images of a run that are held at the same time; each has 33 MiB at most."""

_BATCHES_OF_ONE: Final = 3
_FIRST: Final = 2 * 2**20
"""Bytes of data in the first batch, and twice as many in each that follows: so the target begins
soon to put the image together, and batches that share a link do not all arrive at its end.
"""

_LINES: Final = 16_384
"""Stretches that wait for batches before them."""

_TOGETHER: Final = 1024
"""Stretches that are sent at once."""

_FEWER: Final = 4
"""Into how many smaller ones a batch is divided that did not get through."""

_ATTEMPTS: Final = 6
_PAUSE_SECONDS: Final = 0.2


@dataclass(slots=True)
class ByPieces:
    """How one image is sent to one target by pieces.

    `gate` lets batches through, as many at once as a run may hold; `largest` is how many bytes of
    data go together, which becomes less where connections break.
    """

    ends: Ends[Giver]
    image: Image
    bases: Sequence[str]
    throttle: Throttle
    gate: asyncio.Semaphore
    largest: int = LARGEST_BATCH

    async def send(self, target_id: str, moved: Callable[[int], None]) -> None:
        """Send what is missing, and have the image put together; errors are those of `upload`.

        `moved` is told what has crossed the wire. After an error it may be sent again: what had
        arrived is there.
        """
        spend = self.throttle.spend
        comparison = await compare(self.ends, self.image, self.bases, target_id, spend=spend)
        await _Sending(self, comparison, target_id, moved).run()


class _Sending:
    """One attempt."""

    def __init__(
        self, how: ByPieces, comparison: Comparison, target_id: str, moved: Callable[[int], None]
    ) -> None:
        self._how = how
        self._image = how.image
        self._target = how.ends.target
        self._target_id = target_id
        self._comparison = comparison
        self._moved = moved
        terms = how.ends.terms
        how.largest = min(how.largest, terms.largest_batch)
        self._gatherer = Gatherer(min(_FIRST, how.largest), terms.most_pieces)
        self._numbers: Iterator[int] = count(comparison.unused)
        self._slots = asyncio.Semaphore(_BATCHES_OF_ONE)
        self._lines: asyncio.Queue[Stretch | Gathered | None] = asyncio.Queue(_LINES)
        self._front: Stretch | Gathered | None = None

    async def run(self) -> None:
        """Send everything."""
        size, hashes = self._image.size or 0, self._image.hashes
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._gather(tasks))
                await self._target.put_together(self._target_id, size, hashes, self._delta())
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            self._moved(self._comparison.read)

    async def _gather(self, tasks: asyncio.TaskGroup) -> None:
        """Fill batches and send each when it is full; keep the stretches in their order."""

        async def flush() -> None:
            if (batch := self._gatherer.take()) is not None:
                self._gatherer.largest = min(2 * self._gatherer.largest, self._how.largest)
                await self._slots.acquire()
                tasks.create_task(self._transfer(batch))

        async with aclosing(self._comparison.found) as found:
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
            waiting: list[Sequence[Span]] = [batch.spans]
            begin = 0
            while waiting:
                spans = waiting.pop()
                try:
                    number = await self._brought(spans)
                except InterruptedTransfer as error:
                    if len(spans) == 1:
                        error.repeated = True
                        raise
                    await asyncio.sleep(_PAUSE_SECONDS)
                    few = -(-len(spans) // _FEWER)
                    smaller = [spans[n : n + few] for n in range(0, len(spans), few)]
                    waiting += reversed(smaller)
                    self._lessen(max(map(_size, smaller)))
                else:
                    batch.parts.append((begin, number))
                    begin += _size(spans)
            batch.spans = []
            batch.sent.set()
        finally:
            self._slots.release()

    def _lessen(self, size: int) -> None:
        self._gatherer.largest = self._how.largest = min(self._how.largest, size)

    async def _brought(self, spans: Sequence[Span]) -> int:
        """Bring pieces over; give the number of the part that they are there."""

        def again(error: Exception) -> bool:
            if isinstance(error, InterruptedTransfer):
                return len(spans) == 1
            # What was altered on its way is refused.
            return is_passing(error) or isinstance(error, RefusedError)

        async for attempt in stamina.retry_context(on=again, attempts=_ATTEMPTS, timeout=None):
            with attempt:
                async with self._how.gate:
                    spend = self._how.throttle.spend
                    data = await self._how.ends.source.batch(self._image.id, spans, spend)
                    return await self._put(data)
        raise AssertionError("a retry context ends with a result or an error")

    async def _put(self, data: bytes) -> int:
        """Have a batch kept under a number that is free, even where another replicator works."""
        while (number := next(self._numbers)) < MOST_PARTS:
            try:
                await self._target.put_part(self._target_id, number, data)
            except ConflictError:
                if number not in (taken := await self._target.parts(self._target_id)):
                    raise
                self._numbers = count(max(taken) + 1)
            else:
                self._moved(len(data))
                return number
        raise ImageError(f"image {self._target_id}: it would have more than {MOST_PARTS} parts")

    async def _delta(self) -> AsyncIterator[bytes]:
        joiner = Joiner()
        yield await self._spent(
            encode_outline(Outline(self._image.size or 0, self._comparison.images))
        )
        while ready := await self._ready():
            if data := _written(joiner.feed(ready)):
                yield await self._spent(data)
        if data := _written(joiner.finish()):
            yield await self._spent(data)

    async def _spent(self, data: bytes) -> bytes:
        await self._how.throttle.spend(len(data))
        self._moved(len(data))
        return data

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


def _written(stretches: Iterable[Stretch]) -> bytes:
    return b"".join(map(encode_stretch, stretches))


def _size(spans: Sequence[Span]) -> int:
    return sum(span.length for span in spans)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the error that counts of several that came of one cause."""
    errors = [e for e in group.exceptions if isinstance(e, MeltemiError)]
    return errors[0] if errors else group.exceptions[0]
