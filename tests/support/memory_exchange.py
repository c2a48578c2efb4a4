"""A library in memory that exchanges images by pieces, as a region does (docs/exchange.md).

Its trees, batches and deltas are real, what it keeps them in is not. It counts what crossed the
wire, each way.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from meltemi.chunks.blob import BlobId, chunk_id
from meltemi.chunks.coding import encode
from meltemi.chunks.cut import Cut, Cutter
from meltemi.chunks.exchange.batch import (
    LARGEST_BATCH,
    LARGEST_PIECE,
    MOST_PIECES,
    BatchError,
    decode_batch,
    encode_batch,
)
from meltemi.chunks.exchange.delta import DeltaReader, Origin
from meltemi.chunks.exchange.difference import TOGETHER
from meltemi.chunks.exchange.gathering import Span
from meltemi.chunks.exchange.remote import Holder, Sought, Spend, Top
from meltemi.chunks.exchange.terms import Terms
from meltemi.chunks.manifest import Entry
from meltemi.chunks.tree import segments_at
from meltemi.errors import ConflictError, RefusedError, VanishedError
from meltemi.libraries.exchanging import Loan
from meltemi.model.image import Hashes
from tests.chunks.making import Tree
from tests.support.memory import MemoryLibrary

TERMS = Terms(
    version=1,
    cut="cdc-64k",
    dedup_scope="region",
    hash="sha512",
    largest_batch=LARGEST_BATCH,
    largest_piece=LARGEST_PIECE,
    most_pieces=MOST_PIECES,
)


def tree_of(pieces: Sequence[bytes | memoryview | int]) -> Tree:
    """Make a manifest of pieces, or of so many zeros."""
    return Tree(
        Entry(piece) if isinstance(piece, int) else Entry(len(piece), chunk_id(piece))
        for piece in pieces
    )


def cut(data: bytes) -> list[memoryview | int]:
    """Cut data as a region does; a number stands for so many zeros."""
    cutter = Cutter(Cut.CONTENT)
    cutter.hold(data)
    return [piece.length if piece.data is None else piece.data for piece in cutter.finish()]


@dataclass
class MemoryExchange:
    """How a library in memory exchanges; without `told` it does not."""

    library: MemoryLibrary
    told: Terms | None = TERMS
    sent: int = 0
    """Bytes of batches that were given."""
    taken: int = 0
    """Bytes of batches and deltas that came."""
    lent: set[str] = field(default_factory=set)
    """Images of which a part is elsewhere: pieces of them are given, nothing is made of them."""
    kept: dict[str, dict[int, list[bytes]]] = field(default_factory=lambda: defaultdict(dict))
    altered: int = 0
    """How many batches are still to be altered on their way."""
    room: int = 10_000
    """How many parts there may be before the next one hangs, and `stuck` tells."""
    stuck: asyncio.Event = field(default_factory=asyncio.Event)
    _trees: dict[Any, Tree] = field(default_factory=dict)

    async def terms(self) -> Terms | None:
        """Give them."""
        await self._begin("terms", "")
        return self.told

    async def root(self, holder: Holder, unless: BlobId | None = None) -> Top | None:
        """Give the root of a manifest."""
        await self._begin("root", holder.image_id)
        tree = self._tree(holder)
        is_lent = holder.image_id in self.lent
        if tree.root_id == unless and not is_lent:
            return None
        return Top(tree.root_id, tree.root, is_borrowed=is_lent)

    async def segments(self, holder: Holder, sought: Sequence[Sought]) -> Sequence[bytes]:
        """Give segments."""
        await self._begin("segments", holder.image_id)
        assert 0 < len(sought) <= TOGETHER
        tree = self._tree(holder)
        found = segments_at(tree.root, tree.fetch, [one.place for one in sought])
        return [bytes(segment) for segment in found]

    async def batch(self, image_id: str, spans: Sequence[Span], spend: Spend) -> bytes:
        """Give a batch."""
        await self._begin("batch", image_id)
        batch = encode_batch(self._pieces(image_id, spans))
        self.sent += len(batch)
        await spend(len(batch))
        if self.altered:
            self.altered -= 1
            batch = batch[:-9] + bytes([batch[-9] ^ 255]) + batch[-8:]
        return batch

    async def batch_size(self, image_id: str, spans: Sequence[Span]) -> int:
        """Say what pieces take."""
        await self._begin("batch_size", image_id)
        return sum(len(encode(piece)[1]) for piece in self._pieces(image_id, spans))

    async def loan(self, image_id: str) -> Loan | None:
        """Say that all of it is here."""
        await self._begin("loan", image_id)
        return None

    async def parts(self, image_id: str) -> Mapping[int, int]:
        """Give the parts."""
        await self._begin("parts", image_id)
        self._must_wait(image_id)
        return {n: sum(map(len, pieces)) for n, pieces in sorted(self.kept[image_id].items())}

    async def put_part(self, image_id: str, number: int, batch: bytes) -> None:
        """Keep a part."""
        await self._begin("put_part", image_id)
        self._must_wait(image_id)
        if number in self.kept[image_id]:
            raise ConflictError(f"{self.library.name}: there is a part {number}")
        if sum(map(len, self.kept.values())) >= self.room:
            self.stuck.set()
            await asyncio.Event().wait()
        self.taken += len(batch)
        try:
            self.kept[image_id][number] = [bytes(piece) for piece in decode_batch(batch)]
        except BatchError as error:
            raise RefusedError(f"{self.library.name}: {error}") from error

    async def put_together(
        self,
        image_id: str,
        size: int,
        hashes: Hashes,
        delta: AsyncIterator[bytes],
        binding: str | None = None,  # noqa: ARG002 - it trusts nobody
    ) -> None:
        """Put an image together."""
        reader: DeltaReader | None = None
        found: list[bytes] = []
        rest = b""

        async def data() -> AsyncIterator[bytes]:
            nonlocal reader, rest
            async for piece in delta:
                self.taken += len(piece)
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if reader is None:
                        reader = DeltaReader(line + b"\n")
                        assert reader.outline.size == size
                        continue
                    stretch = reader.read(line + b"\n")
                    yield self._bytes(image_id, reader.outline.images, stretch)
            assert reader is not None
            reader.finish()
            if self.library.record(b"".join(found)).agree(hashes) is False:
                self.kept.pop(image_id, None)
                raise RefusedError(f"{self.library.name}: it has another hash")

        async def seen() -> AsyncIterator[bytes]:
            async for piece in data():
                found.append(piece)
                yield piece

        await self.library.upload(image_id, size, seen())
        self.kept.pop(image_id, None)

    def _bytes(self, image_id: str, images: Sequence[str], stretch: Any) -> bytes:
        if stretch.origin is None:
            return bytes(stretch.length)
        if stretch.origin is Origin.IMAGE:
            assert images[stretch.number] not in self.lent
            origin = self._data(images[stretch.number])
        else:
            origin = b"".join(self.kept[image_id][stretch.number])
        found = origin[stretch.offset : stretch.offset + stretch.length]
        assert len(found) == stretch.length
        return found

    def _tree(self, holder: Holder) -> Tree:
        if holder.part is not None:
            return tree_of(self.kept[holder.image_id][holder.part])
        data = self._data(holder.image_id)
        if data not in self._trees:
            self._trees[data] = tree_of(cut(data))
        return self._trees[data]

    def _pieces(self, image_id: str, spans: Sequence[Span]) -> list[bytes]:
        data = self._data(image_id)
        assert 0 < len(spans) <= MOST_PIECES
        return [data[offset : offset + length] for offset, length in spans]

    def _data(self, image_id: str) -> bytes:
        if image_id not in self.library.images:
            raise VanishedError(f"{self.library.name}: no image {image_id}")
        data = self.library.data(image_id)
        if data is None:
            raise ConflictError(f"{self.library.name}: image {image_id} has no data")
        return data

    def _must_wait(self, image_id: str) -> None:
        image = self.library.images.get(image_id)
        if image is None:
            raise VanishedError(f"{self.library.name}: no image {image_id}")
        if image.status not in ("queued", "saving"):
            raise ConflictError(f"{self.library.name}: image {image_id} is {image.status}")

    async def _begin(self, request: str, image_id: str) -> None:
        self.library.requests.append((request, image_id))
        await asyncio.sleep(0)
        for fault in self.library.faults:
            if fault.fits(request, image_id):
                await fault.happen()


class ExchangingLibrary(MemoryLibrary):
    """A library in memory that exchanges."""

    def __init__(self, name: str = "memory", **how: Any) -> None:
        super().__init__(name, **how)
        self.exchange = MemoryExchange(self)

    def tell(self, **terms: Any) -> None:
        """Tell other terms."""
        self.exchange.told = replace(TERMS, **terms)
