"""Data, entries and trees for tests of the chunk store."""

from collections.abc import Iterable, Sequence
from random import Random

from blake3 import blake3

from meltemi.chunks.blob import BlobId, Buffer, chunk_id
from meltemi.chunks.cut import BLOCK, Cut
from meltemi.chunks.manifest import Entry, Root, decode_root
from meltemi.chunks.tree import TreeBuilder

KIB = 2**10
MIB = 2**20


def noise(seed: int, size: int) -> bytes:
    """Give bytes that look random and are the same every time."""
    return Random(seed).randbytes(size)


def holey(seed: int) -> bytes:
    """Give data with runs of zeros: some fit in blocks, some do not, one ends the data."""
    parts = [
        noise(seed, 300 * KIB),
        bytes(3 * BLOCK),  # two of its blocks are whole
        noise(seed + 1, 5 * BLOCK - 100),
        bytes(BLOCK),
        b"\x01",
        bytes(10 * BLOCK),
        noise(seed + 2, 100),
        bytes(2 * BLOCK + 7),
    ]
    return b"".join(parts)


def some_chunk(number: int) -> BlobId:
    """Give the name of a chunk that nobody has."""
    return BlobId(b"\x01" + blake3(number.to_bytes(8, "little")).digest())


def some_entries(count: int, seed: int = 0) -> list[Entry]:
    """Give entries of chunks of different lengths, the same every time."""
    chance = Random(seed)
    return [
        Entry(chance.randrange(16 * KIB, 256 * KIB), some_chunk(seed << 32 | number))
        for number in range(count)
    ]


class Tree:
    """A manifest in memory, with what was read of it."""

    def __init__(self, entries: Iterable[Entry], cut: Cut = Cut.CONTENT) -> None:
        self.blobs: dict[BlobId, bytes] = {}
        self.reads: list[BlobId] = []
        builder = TreeBuilder(cut, self.blobs.__setitem__)
        for entry in entries:
            builder.add(entry)
        self.root_id = builder.finish()

    @property
    def root(self) -> Root:
        """Give its root."""
        return decode_root(self.blobs[self.root_id])

    def fetch(self, blobs: Sequence[BlobId]) -> dict[BlobId, Buffer]:
        """Give segments, and remember that they were read."""
        self.reads += blobs
        return {blob: self.blobs[blob] for blob in blobs}


def names_of(pieces: Iterable[bytes]) -> set[BlobId]:
    """Give the names of chunks."""
    return {chunk_id(piece) for piece in pieces}
