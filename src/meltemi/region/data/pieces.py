"""What is read of data to exchange it by pieces: manifests, and stretches from anywhere in it.

What takes much memory is done for a few at a time in each process, and what waits for a slow
client lies in a file meanwhile.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Final, NamedTuple

from meltemi.chunks.blob import BlobId, Buffer
from meltemi.chunks.exchange.batch import encode_batch
from meltemi.chunks.gathering import gather
from meltemi.chunks.manifest import Entry
from meltemi.chunks.reader import Reader
from meltemi.chunks.store import Store
from meltemi.chunks.tree import tree_segments
from meltemi.chunks.writer import PIECE
from meltemi.errors import QuotaError, UnavailableError
from meltemi.model.record import is_borrowed
from meltemi.region.data.contents import FULL, Contents

_TOGETHER: Final = 128 * 2**20
"""Bytes of stretches that are looked up together."""

_SEGMENTS: Final = 128
"""Pieces, or segments of a manifest, that are stored at once."""

_AT_ONCE: Final = 3
"""Batches that a process makes or takes in at the same time: each takes some 100 MiB."""

Range = tuple[int, int]
"""Where in the data something begins, and how long it is, in bytes."""


class Wanted(NamedTuple):
    """A stretch that is wanted: bytes of some data, or zeros where there is none."""

    data: Reader | None
    offset: int
    length: int


class Pieces:
    """Reads from the store what exchanges ask for; `folder` is for what waits."""

    def __init__(self, store: Store, contents: Contents, folder: Path) -> None:
        self._store = store
        self._contents = contents
        self._folder = folder
        self.turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = asyncio.Semaphore(_AT_ONCE)

    async def root(self, content: str) -> tuple[BlobId, bytes]:
        """Give the name of a manifest's root, and its bytes."""

        def read() -> tuple[BlobId, bytes]:
            if is_borrowed(content):
                return self._contents.borrowed.root(content)
            manifest = self._store.head(content).manifest
            return manifest, self._store.fetch(manifest)

        return await self._contents.in_thread(read)

    async def segments(self, data: Reader, places: Sequence[tuple[int, int]]) -> Sequence[Buffer]:
        """Give the bytes of segments, each told by its level and where in the data it begins.

        Raise LookupError where none begins.
        """
        return await self._contents.in_thread(partial(data.segments, places))

    async def segments_of(
        self, content: str, places: Sequence[tuple[int, int]]
    ) -> Sequence[Buffer]:
        """Give the bytes of segments as `segments` does, also where a part of the data is lent."""
        if is_borrowed(content):
            find = partial(self._contents.borrowed.segments, content, places)
            return await self._contents.in_thread(find)
        return await self.segments(await self.open(content), places)

    async def batch(self, content: str, ranges: Sequence[Range]) -> IO[bytes]:
        """Give a file with a batch of pieces of data; close it when done.

        Raise UnavailableError where some of it is at a peer that does not give it.
        """

        def read() -> Sequence[bytes]:
            entries = self._reader(content).entries(ranges)
            return list(gather(self._store.fetcher, entries))

        def make(pieces: Sequence[bytes]) -> IO[bytes]:
            file = self._file()
            _append(file, [encode_batch(pieces)])
            file.seek(0)
            return file

        if is_borrowed(content):
            # Others need not wait for a peer, nor peers for each other.
            async with self._waiting:
                pieces = await self._contents.borrowed.pieces(content, ranges)
                return await self._contents.to_its_end(partial(make, pieces))
        async with self.turns:
            return await self._contents.to_its_end(lambda: make(read()))

    async def batch_size(self, content: str, ranges: Sequence[Range]) -> int:
        """Tell how many bytes pieces take, each compressed for itself; as they are, where lent."""

        def find() -> int:
            here, lent = ranges, 0
            if is_borrowed(content):
                here, lent = self._contents.borrowed.parted(content, ranges)
            pieces = self._reader(content).entries(here)
            chunks = {entry.chunk for piece in pieces for entry in piece if entry.chunk is not None}
            places = {blob: at.place for blob, at in self._store.blobs.locate(chunks).items()}
            entries = [entry for piece in pieces for entry in piece if entry.chunk in places]
            # Of a chunk that is only needed in part, that part.
            taken = [(entry.length, places[entry.chunk]) for entry in entries if entry.chunk]
            return lent + sum(-(-length * at.stored // at.length) for length, at in taken)

        return await self._contents.in_thread(find)

    async def tree(self, content: str) -> Sequence[tuple[BlobId, int]]:
        """Name all segments of a manifest, the root first, and tell how long each is."""

        def find() -> list[tuple[BlobId, int]]:
            root = self._store.head(content).manifest
            found = tree_segments(root, self._store.fetcher.fetch_all)
            return [(name, len(data)) for name, data in found]

        return await self._contents.in_thread(find)

    async def store_borrowed(
        self, content: str, own: Sequence[Range], tree: Sequence[BlobId], end: bytes, name: str
    ) -> None:
        """Store, under a name, pieces of data, the segments of a manifest, and some bytes.

        The pieces are chunks that are here, and take no more room.
        """
        reader, fetcher = await self.open(content), self._store.fetcher

        def take_own(group: Sequence[Range]) -> None:
            writer.write_pieces(gather(fetcher, reader.entries(group)))

        def take_tree(group: Sequence[BlobId]) -> None:
            found = fetcher.fetch_all(group)
            writer.write(*(bytes(found[one]) for one in group))

        async with self._contents.writing() as writer:
            for begin in range(0, len(own), _SEGMENTS):
                await self._contents.to_its_end(partial(take_own, own[begin : begin + _SEGMENTS]))
            for begin in range(0, len(tree), _SEGMENTS):
                await self._contents.to_its_end(partial(take_tree, tree[begin : begin + _SEGMENTS]))
            await self._contents.to_its_end(partial(writer.write, end))
            await self._contents.to_its_end(partial(writer.finish, name))

    async def open(self, content: str) -> Reader:
        """Open data to have it read, also where nobody has it any more by then.

        What is opened is for one reader at a time.
        """
        return await self._contents.in_thread(lambda: self._reader(content))

    async def read(self, wanted: Sequence[Wanted]) -> list[bytes]:
        """Give the bytes of stretches, one after another, in blocks of at most a MiB.

        They are read together; it takes memory for all of them, and more where they are small.
        """

        def read() -> list[bytes]:
            return list(_blocks(gather(self._store.fetcher, _entries_of(wanted))))

        return await self._contents.in_thread(read)

    def entries(self, wanted: Iterable[Wanted]) -> Iterator[Entry]:
        """Give what stretches consist of, one after another; asking for more blocks.

        Short ones are looked up together, since many lie in the same segments; of a long one,
        what is held is little.
        """
        group: list[Wanted] = []
        size = 0
        for one in wanted:
            if size + one.length > _TOGETHER:
                yield from chain.from_iterable(_entries_of(group))
                group, size = [], 0
            if one.data is not None and one.length > _TOGETHER:
                yield from one.data.entries_from(one.offset, one.offset + one.length)
            else:
                group.append(one)
                size += one.length
        yield from chain.from_iterable(_entries_of(group))

    async def spool(self, data: AsyncIterator[bytes], most: int) -> IO[bytes]:
        """Give a file with what comes; close it when done. QuotaError where more comes."""
        file = await self._contents.in_thread(self._file)
        gathered: list[bytes] = []
        size = total = 0
        with ExitStack() as stack:
            stack.enter_context(file)
            async for piece in data:
                gathered.append(piece)
                size, total = size + len(piece), total + len(piece)
                if total > most:
                    raise QuotaError(f"This is more than {most} bytes, and no batch")
                if size >= PIECE:
                    await self._contents.to_its_end(partial(_append, file, gathered))
                    gathered, size = [], 0
            await self._contents.to_its_end(partial(_append, file, gathered))
            stack.pop_all()
        return file

    def _reader(self, content: str) -> Reader:
        return self._store.reader(self._store.head(content))

    def _file(self) -> IO[bytes]:
        with _on_disk():
            return tempfile.TemporaryFile(dir=self._folder)


def _entries_of(wanted: Sequence[Wanted]) -> list[list[Entry]]:
    """Give what stretches consist of; each segment is read once."""
    ranges: dict[Reader, list[Range]] = {}
    for data, offset, length in wanted:
        if data is not None:
            ranges.setdefault(data, []).append((offset, length))
    entries = {data: iter(data.entries(found)) for data, found in ranges.items()}
    return [[Entry(length)] if data is None else next(entries[data]) for data, _, length in wanted]


def _append(file: IO[bytes], data: Sequence[bytes]) -> None:
    with _on_disk():
        file.writelines(data)
        file.flush()


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"a batch cannot be kept: {error}", told=FULL) from error


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces, as far as blocks do not become larger than a piece may be."""
    joined: list[bytes] = []
    size = 0
    for piece in pieces:
        if joined and size + len(piece) > PIECE:
            yield joined[0] if len(joined) == 1 else b"".join(joined)
            joined, size = [], 0
        joined.append(piece)
        size += len(piece)
    if joined:
        yield joined[0] if len(joined) == 1 else b"".join(joined)
