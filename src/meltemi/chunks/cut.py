"""Where data is cut. Global constants: two stores share only what they cut alike.

The cuts are specified in docs/chunk-store.md. FastCDC: Xia and others, "The Design of Fast
Content-Defined Chunking for Data Deduplication Based Storage Systems" (IEEE TPDS 2020).
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from meltemi.chunks.blob import LARGEST_CHUNK

BLOCK: Final = 64 * 2**10
"""Zero runs begin and end at multiples of this, in bytes."""

_ZEROS: Final = bytes(BLOCK)


class Cut(IntEnum):
    """The rules of cutting, with the numbers that manifests know them by."""

    CONTENT = 1
    FIXED = 2

    @property
    def label(self) -> str:
        """Give the name that people read."""
        return {Cut.CONTENT: "cdc-64k", Cut.FIXED: "fixed-64k"}[self]


class Piece(NamedTuple):
    """A piece of data: its length, and its bytes unless it is a run of zeros."""

    length: int
    data: memoryview | None


class Cutter:
    """Cuts one stream of data; how the stream is divided when it comes in makes no difference.

    Each piece leaves so many bytes of `room` in a chunk.
    """

    def __init__(self, cut: Cut, *, room: int = 0) -> None:
        self._lengths = _lengths_of(cut, LARGEST_CHUNK - room)
        self._start = 0
        self._held = b""
        self._zeros = 0

    def hold(self, *data: bytes) -> memoryview:
        """Take in more data; give it in one piece."""
        before = len(self._held)
        alone = len(data) == 1 and not before
        self._held = data[0] if alone else b"".join((self._held, *data))
        return memoryview(self._held)[before:]

    def cut(self) -> list[Piece]:
        """Give the pieces that are certain by now."""
        return list(self._pieces(last=False))

    def finish(self) -> list[Piece]:
        """Give what is left."""
        return list(self._pieces(last=True))

    def _pieces(self, *, last: bool) -> Iterator[Piece]:
        held = self._held
        view = memoryview(held)
        size = len(held)
        given = 0
        # What is held from before the first border of a block is known to belong to an extent.
        at = -self._start % BLOCK
        while at + BLOCK <= size or (last and at < size):
            end = min(at + BLOCK, size)
            if held.startswith(_ZEROS if end - at == BLOCK else bytes(end - at), at):
                if given < at:
                    yield from self._zero_run()
                    yield from self._extent(view[given:at], whole=True)
                self._zeros += end - at
                given = end
            at = end
        if given < at:
            yield from self._zero_run()
            for piece in self._extent(view[given:at], whole=last):
                given += piece.length
                yield piece
        if last:
            yield from self._zero_run()
        self._start += given
        self._held = held[given:]

    def _zero_run(self) -> Iterator[Piece]:
        if self._zeros:
            yield Piece(self._zeros, None)
            self._zeros = 0

    def _extent(self, view: memoryview, *, whole: bool) -> Iterator[Piece]:
        """Cut an extent; without its end, the last piece may yet grow and is left out."""
        begin = 0
        lengths = self._lengths(view)
        for length in lengths if whole else lengths[:-1]:
            yield Piece(length, view[begin : begin + length])
            begin += length


def _lengths_of(cut: Cut, largest: int) -> Callable[[memoryview], list[int]]:
    if cut is Cut.FIXED:
        return _fixed
    from pyfastcdc import FastCDC  # noqa: PLC0415 - slow to import, and who only reads cuts nothing

    cdc = FastCDC(64 * 2**10, min_size=16 * 2**10, max_size=largest, normalized_chunking=1, seed=0)
    return lambda view: [chunk.length for chunk in cdc.cut_buf(view)]


def _fixed(view: memoryview) -> list[int]:
    whole, rest = divmod(len(view), BLOCK)
    return [BLOCK] * whole + ([rest] if rest else [])
