"""Cutting a file as a region would: its manifest, in memory, and its hashes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from meltemi.chunks.blob import BlobId, chunk_id
from meltemi.chunks.cut import Cut, Cutter, Piece
from meltemi.chunks.digests import Digests
from meltemi.chunks.manifest import Entry, Root, decode_root
from meltemi.chunks.tree import TreeBuilder
from meltemi.threads import in_thread
from meltemi.workstation.files import LocalFile
from meltemi.workstation.steps import PIECES


@dataclass(frozen=True, slots=True)
class Manifest:
    """How a file is cut: the root and its name, all segments by name; hashes by algorithm."""

    name: BlobId
    root: Root
    segments: Mapping[BlobId, bytes]
    hashes: Mapping[str, str]


async def cut(file: LocalFile, algorithms: Sequence[str], done: Callable[[int], None]) -> Manifest:
    """Cut all of a file; `done` is told how far it is, in bytes.

    Memory grows by some 40 bytes a chunk, of which there is one for some 64 KiB of data.
    """
    cutting = _Cutting(file, algorithms)
    try:
        while await in_thread(cutting.step):
            done(cutting.size)
        return await in_thread(cutting.finish)
    finally:
        await in_thread(cutting.close)


class _Cutting:
    def __init__(self, file: LocalFile, algorithms: Sequence[str]) -> None:
        self._pieces = file.pieces()
        self._cutter = Cutter(Cut.CONTENT)
        self._digests = Digests(algorithms)
        self._segments: dict[BlobId, bytes] = {}
        self._tree = TreeBuilder(Cut.CONTENT, self._segments.__setitem__)

    @property
    def size(self) -> int:
        return self._digests.size

    def step(self) -> bool:
        """Take in some more; say whether there was any."""
        before = self.size
        for piece in islice(self._pieces, PIECES):
            self._digests.update(self._cutter.hold(piece))
            self._add(self._cutter.cut())
        return self.size > before

    def finish(self) -> Manifest:
        self._add(self._cutter.finish())
        name = self._tree.finish()
        root = decode_root(self._segments[name])
        return Manifest(name, root, self._segments, self._digests.finish())

    def close(self) -> None:
        self._digests.close()

    def _add(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            name = None if piece.data is None else chunk_id(piece.data)
            self._tree.add(Entry(piece.length, name))
