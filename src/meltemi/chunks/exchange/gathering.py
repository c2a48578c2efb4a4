"""Gathering the pieces that a target lacks into batches, each piece once. Pure."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from meltemi.chunks.exchange.delta import Stretch, joined
from meltemi.chunks.exchange.difference import Piece
from meltemi.chunks.manifest import LARGEST_DATA, Entry


class Span(NamedTuple):
    """A stretch of an image's data, in bytes."""

    offset: int
    length: int


class Batch(NamedTuple):
    """Pieces that go together, and where among all that were gathered the first begins."""

    begin: int
    pieces: Sequence[Piece]

    @property
    def size(self) -> int:
        """Give the bytes of its data."""
        return sum(piece.entry.length for piece in self.pieces)


class Gathered(NamedTuple):
    """A stretch of the data that was gathered: its length, and where among all that was."""

    length: int
    at: int


class Gatherer:
    """Puts pieces one after another, each once, and gives them in batches.

    `size` are the bytes that wait, `count` is of how many pieces.
    """

    def __init__(self) -> None:
        self.size = 0
        self._begin = 0
        self._known: dict[Entry, Gathered] = {}
        self._waiting: deque[Piece] = deque()

    @property
    def count(self) -> int:
        """Say how many pieces wait."""
        return len(self._waiting)

    def add(self, piece: Piece) -> Gathered:
        """Say where a piece is: where it was put before, or behind all others."""
        placed = self._known.get(piece.entry)
        if placed is None:
            length = piece.entry.length
            placed = self._known[piece.entry] = Gathered(length, self._begin + self.size)
            self._waiting.append(piece)
            self.size += length
        return placed

    def take(self, most: int, largest: int = LARGEST_DATA) -> Batch | None:
        """Give the first that wait, at most so many and so many bytes; one in any case."""
        taken: list[Piece] = []
        size = 0
        while self._waiting and len(taken) < most:
            length = self._waiting[0].entry.length
            if taken and size + length > largest:
                break
            taken.append(self._waiting.popleft())
            size += length
        batch = Batch(self._begin, taken)
        self._begin, self.size = self._begin + size, self.size - size
        return batch if taken else None


def spans(pieces: Sequence[Piece]) -> list[Span]:
    """Say where in the source's data pieces are."""
    return [Span(piece.offset, piece.entry.length) for piece in pieces]


class Joiner:
    """Joins stretches that go on where the one before ends, however many come at once."""

    def __init__(self) -> None:
        self._last: list[Stretch] = []

    def feed(self, stretches: Iterable[Stretch]) -> Sequence[Stretch]:
        """Take the next ones; give those that are certain by now."""
        found = list(joined([*self._last, *stretches]))
        self._last = found[-1:]
        return found[:-1]

    def finish(self) -> Sequence[Stretch]:
        """Give what is left."""
        return self._last
