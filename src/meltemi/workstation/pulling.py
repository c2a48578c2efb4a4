"""Pulling an image: a file of what files here have of it, and of the pieces that none has."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Final

import stamina

from meltemi.chunks.blob import chunk_id
from meltemi.chunks.exchange.batch import BatchError, decode_batch
from meltemi.chunks.exchange.delta import Origin, Stretch
from meltemi.chunks.exchange.difference import Base, Piece, difference
from meltemi.chunks.exchange.gathering import Span
from meltemi.chunks.exchange.remote import Holder, RemoteTree
from meltemi.chunks.exchange.terms import Terms
from meltemi.chunks.manifest import Entry
from meltemi.errors import ConflictError, CorruptionError, InterruptedTransfer, is_passing
from meltemi.libraries.base import Library
from meltemi.libraries.exchanging import Exchange
from meltemi.model.image import Hashes, Image
from meltemi.replication.reading import start_hash
from meltemi.threads import in_thread
from meltemi.workstation.cutting import cut
from meltemi.workstation.draft import Draft
from meltemi.workstation.files import LocalFile
from meltemi.workstation.giving import FileGiver, exchange_of
from meltemi.workstation.steps import Tell, Telling, hash_all

_BATCHES: Final = 3
"""Batches that are fetched at the same time."""

_STEP: Final = 64 * 2**20
"""Bytes after which work in a thread may be interrupted."""

_ATTEMPTS: Final = 6
_PAUSE_SECONDS: Final = 0.2

_Laid = tuple[int, Stretch | Piece]
"""What is at a place of the data."""

_Missing = tuple[Entry, list[int]]
"""A piece, and the places where it is wanted."""


async def way_to(library: Library, image: Image) -> tuple[Exchange, Terms] | str:
    """Give how a library gives an image by pieces; or say why it only gives it as a whole."""
    met = await exchange_of(library)
    if not isinstance(met, str):
        try:
            await met[0].root(Holder(image.id))
        except ConflictError as error:  # its data is elsewhere
            return str(error)
    return met


class AlteredError(InterruptedTransfer):
    """What came is not what was asked for."""


class Pull:
    """One image on its way into a draft; `wire` counts the bytes that crossed the wire."""

    def __init__(
        self, library: Library, image: Image, exchange: Exchange, terms: Terms, draft: Draft
    ) -> None:
        self._label = f"{library.name}: image {image.label}"
        self._image = image
        self._exchange = exchange
        self._draft = draft
        self._most = terms.most_pieces
        self._largest = terms.largest_batch
        self._missing: dict[Entry, list[int]] = {}
        self.wire = 0

    async def run(self, seeds: Sequence[LocalFile], telling: Telling) -> None:
        """Bring everything, and hold it against the hash on record.

        Raise CorruptionError where it has another. After any other error, what has come stays.
        """
        await in_thread(self._draft.resize, self._image.size or 0)
        bases = [(seed, await _tree(seed, telling)) for seed in seeds]
        await self._fill(bases, telling)
        if bases and not await self._is_sound(telling):
            await self._fill((), telling)  # a seed was written to after it was cut
            bases = []
        if not bases and not await self._is_sound(telling):
            await in_thread(self._draft.discard)
            raise CorruptionError(
                f"{self._label}: its data does not have the hash on record; no file was made of "
                "it: mend or delete the image"
            )
        await in_thread(self._draft.complete)

    async def _fill(self, seeds: Sequence[tuple[LocalFile, RemoteTree]], telling: Telling) -> None:
        """Lay out what seeds have, then fetch what is missing."""
        size = self._image.size or 0
        tree = await RemoteTree.open(self._exchange, Holder(self._image.id))
        if tree.root.size != size:
            raise CorruptionError(f"{self._label}: its manifest is of {tree.root.size} bytes")
        bases = [Base(base, Origin.IMAGE, number) for number, (_, base) in enumerate(seeds)]
        self._missing = {}
        with telling(f"lay out {self._image.label}", size) as tell:
            group: list[_Laid] = []
            at = begin = 0
            async with aclosing(difference(tree, bases)) as found:
                async for one in _divided(found):
                    group.append((at, one))
                    at += one.length if isinstance(one, Stretch) else one.entry.length
                    if at - begin >= _STEP:
                        await in_thread(self._lay_out, group, [seed for seed, _ in seeds])
                        group, begin = [], at
                        tell(at, size)
            await in_thread(self._lay_out, group, [seed for seed, _ in seeds])
            tell(at, size)
        self.wire += tree.read
        total = sum(entry.length for entry in self._missing)
        with telling(f"fetch {self._image.label}", total) as tell:
            await self._fetch(tell, total)
        self._draft.is_fresh = False

    def _lay_out(self, group: Sequence[_Laid], seeds: Sequence[LocalFile]) -> None:
        for at, one in group:
            if isinstance(one, Piece):
                length, chunk, _ = one.entry
                if self._draft.is_fresh or not (chunk and self._draft.has(at, length, chunk)):
                    self._missing.setdefault(one.entry, []).append(at)
            elif one.origin is None:
                self._draft.blank(at, one.length)
            else:
                self._draft.copy(seeds[one.number], one.offset, at, one.length)

    async def _fetch(self, tell: Tell, total: int) -> None:
        done = 0
        batches = self._batches()

        async def fetch() -> None:
            nonlocal done
            for batch in batches:
                await self._bring(batch)
                done += sum(entry.length for entry, _ in batch)
                tell(done, total)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(_BATCHES):
                tasks.create_task(fetch())

    def _batches(self) -> Iterator[list[_Missing]]:
        """Put pieces together that are fetched together."""
        batch: list[_Missing] = []
        size = 0
        for entry, places in self._missing.items():
            if batch and (len(batch) == self._most or size + entry.length > self._largest):
                yield batch
                batch, size = [], 0
            batch.append((entry, places))
            size += entry.length
        if batch:
            yield batch

    async def _bring(self, batch: list[_Missing]) -> None:
        """Fetch pieces and write them; what cannot be brought at once is halved."""
        waiting = [batch]
        while waiting:
            pieces = waiting.pop()
            try:
                await self._brought(pieces)
            except AlteredError:
                raise
            except InterruptedTransfer:
                if len(pieces) == 1:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
                half = len(pieces) // 2
                waiting += [pieces[half:], pieces[:half]]
                self._largest = min(self._largest, sum(e.length for e, _ in pieces[:half]))

    async def _brought(self, pieces: Sequence[_Missing]) -> None:
        def again(error: Exception) -> bool:
            if isinstance(error, InterruptedTransfer) and len(pieces) > 1:
                return isinstance(error, AlteredError)
            return is_passing(error)

        spans = [Span(places[0], entry.length) for entry, places in pieces]
        async for attempt in stamina.retry_context(on=again, attempts=_ATTEMPTS, timeout=None):
            with attempt:
                frame = await self._exchange.batch(self._image.id, spans, self._spend)
                await in_thread(self._write, frame, pieces)

    async def _spend(self, count: int) -> None:
        self.wire += count

    def _write(self, frame: bytes, pieces: Sequence[_Missing]) -> None:
        """Write pieces to their places; raise AlteredError unless they are what was asked for."""
        try:
            found = decode_batch(frame)
        except BatchError as error:
            raise AlteredError(f"{self._label}: {error}") from error
        if [chunk_id(piece) for piece in found] != [entry.chunk for entry, _ in pieces]:
            raise AlteredError(f"{self._label}: other pieces came than were asked for")
        for piece, (_, places) in zip(found, pieces, strict=True):
            for at in places:
                self._draft.write(at, piece)

    async def _is_sound(self, telling: Telling) -> bool:
        """Say whether all data has the hash on record; where none is, its pieces were held to."""
        state = start_hash(self._image.hashes)
        size = self._draft.size
        with telling(f"verify {self._image.label}", size) as tell:
            await hash_all(state, self._draft.pieces(), lambda done: tell(done, size))
        if state.name == "md5":
            return self._image.hashes.agree(Hashes(state.hexdigest())) is not False
        found = Hashes(algorithm=state.name, value=state.hexdigest())
        return self._image.hashes.agree(found) is not False


async def _tree(seed: LocalFile, telling: Telling) -> RemoteTree:
    with telling(f"read {seed.label}", seed.size) as tell:
        manifest = await cut(seed, (), lambda done: tell(done, seed.size))
    return await RemoteTree.open(FileGiver(seed, manifest), Holder(seed.label))


async def _divided(found: AsyncIterator[Stretch | Piece]) -> AsyncIterator[Stretch | Piece]:
    """Divide what is too long to be done in one step."""
    async for one in found:
        if isinstance(one, Piece):
            yield one
            continue
        for begin in range(0, one.length, _STEP):
            length = min(_STEP, one.length - begin)
            yield one._replace(length=length, offset=one.offset + begin)
