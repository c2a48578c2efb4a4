"""Gathering the pieces that a target lacks into batches, each piece once. Pure."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from meltemi.chunks.exchange.delta import Origin, Stretch, joined
from meltemi.chunks.exchange.difference import Piece
from meltemi.chunks.manifest import Entry


class Span(NamedTuple):
    """A stretch of an image's data, in bytes."""

    offset: int
    length: int


@dataclass(eq=False, slots=True)
class Batch:
    """Pieces that go together.

    `parts` tells, once all of them are `sent`, which parts they became: the place among the
    batch's bytes at which each begins, ascending, and its number.
    """

    pieces: list[Piece] = field(default_factory=list)
    size: int = 0
    parts: list[tuple[int, int]] = field(default_factory=list)
    sent: asyncio.Event = field(default_factory=asyncio.Event)


class Gathered(NamedTuple):
    """A stretch of the data that is in a batch: its length, and where in the batch it begins."""

    length: int
    batch: Batch
    offset: int

    def stretch(self) -> Stretch:
        """Give it as a stretch of the part that it was sent as."""
        parts = self.batch.parts
        begin, number = parts[bisect_right(parts, self.offset, key=lambda part: part[0]) - 1]
        return Stretch(self.length, Origin.PART, number, self.offset - begin)


class Gatherer:
    """Puts pieces into a batch until it is taken; `largest` bounds its bytes, `most` its pieces."""

    def __init__(self, largest: int, most: int) -> None:
        self.largest = largest
        self._most = most
        self._known: dict[Entry, Gathered] = {}
        self._batch = Batch()

    def fits(self, piece: Piece) -> bool:
        """Say whether a piece has a place; if not, the batch must be taken first."""
        batch = self._batch
        full = batch.size + piece.entry.length > self.largest or len(batch.pieces) == self._most
        return piece.entry in self._known or not (batch.pieces and full)

    def add(self, piece: Piece) -> Gathered:
        """Say where a piece is: where it was put before, or in the batch at hand."""
        placed = self._known.get(piece.entry)
        if placed is None:
            batch, length = self._batch, piece.entry.length
            placed = self._known[piece.entry] = Gathered(length, batch, batch.size)
            batch.pieces.append(piece)
            batch.size += length
        return placed

    def take(self) -> Batch | None:
        """Give what was gathered, if anything was, and begin anew."""
        batch = self._batch
        if not batch.pieces:
            return None
        self._batch = Batch()
        return batch


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
