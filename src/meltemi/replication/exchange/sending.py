"""Sending an image by pieces: batches several at once, and meanwhile the delta."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import stamina

from meltemi.chunks.exchange.batch import LARGEST_BATCH
from meltemi.chunks.exchange.bringing import Bringing
from meltemi.chunks.exchange.delta import (
    MOST_PARTS,
    Outline,
    Stretch,
    encode_outline,
    encode_stretch,
)
from meltemi.chunks.exchange.difference import Piece
from meltemi.chunks.exchange.gathering import Joiner, spans
from meltemi.errors import (
    ConflictError,
    ImageError,
    InterruptedTransfer,
    RefusedError,
    is_passing,
)
from meltemi.libraries.exchanging import Giver
from meltemi.model.image import Image
from meltemi.replication.exchange.comparing import Comparison, Ends, compare
from meltemi.replication.limits import Throttle

BATCHES: Final = 4
"""Batches of all images of a run that are held at the same time; each has 33 MiB at most."""

_ATTEMPTS: Final = 6


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
        largest = min(how.largest, terms.largest_batch)
        self._bringing = Bringing(comparison.found, largest, terms.most_pieces, self._bring)
        self._numbers: Iterator[int] = count(comparison.unused)

    async def run(self) -> None:
        """Send everything."""
        size, hashes = self._image.size or 0, self._image.hashes
        try:
            async with self._bringing.under_way() as stretches:
                delta = self._delta(stretches)
                await self._target.put_together(self._target_id, size, hashes, delta)
        finally:
            self._how.largest = self._bringing.largest
            self._moved(self._comparison.read)

    async def _bring(self, pieces: Sequence[Piece]) -> int:
        """Bring pieces over; give the number of the part that they are there."""

        def again(error: Exception) -> bool:
            if isinstance(error, InterruptedTransfer):
                return len(pieces) == 1
            # What was altered on its way is refused.
            return is_passing(error) or isinstance(error, RefusedError)

        async for attempt in stamina.retry_context(on=again, attempts=_ATTEMPTS, timeout=None):
            with attempt:
                async with self._how.gate:
                    spend = self._how.throttle.spend
                    source = self._how.ends.source
                    data = await source.batch(self._image.id, spans(pieces), spend)
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

    async def _delta(self, stretches: AsyncIterator[list[Stretch]]) -> AsyncIterator[bytes]:
        yield await self._spent(
            encode_outline(Outline(self._image.size or 0, self._comparison.images))
        )
        joiner = Joiner()
        async for ready in stretches:
            if data := _written(joiner.feed(ready)):
                yield await self._spent(data)
        if data := _written(joiner.finish()):
            yield await self._spent(data)

    async def _spent(self, data: bytes) -> bytes:
        await self._how.throttle.spend(len(data))
        self._moved(len(data))
        return data


def _written(stretches: Iterable[Stretch]) -> bytes:
    return b"".join(map(encode_stretch, stretches))
