"""How an end of an exchange says that it exchanges, and what others make of it."""

from dataclasses import dataclass, replace
from typing import Any, Final

from meltemi.chunks.blob import LARGEST_CHUNK
from meltemi.chunks.cut import Cut
from meltemi.chunks.exchange.batch import LARGEST_BATCH, LARGEST_PIECE, MOST_PIECES

VERSION: Final = 1
BINDING: Final = "x-meltemi-binding"
"""The header in which goes what a region vouches for of data, with its manifest and a delta."""

BORROWED: Final = "x-meltemi-borrowed"
"""The header that tells, with a manifest, that a part of the data is elsewhere: it is no base."""

REGION: Final = "region"
"""The scope in which all projects share data: only its pieces have the same names elsewhere."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a library exchanges: what it understands, and in bytes how much of it at once.

    `hash` is the algorithm by which it can hold data against a hash, where it does that.
    """

    version: int
    cut: str
    dedup_scope: str
    hash: str | None
    largest_batch: int
    largest_piece: int
    most_pieces: int

    def mismatch(self, other: "Terms") -> str | None:
        """Say in a word why two libraries cannot exchange; None where they can."""
        if not self.version == other.version == VERSION:
            return "another version of the exchange"
        if self.cut != other.cut:
            return f"data is cut otherwise ({self.cut} and {other.cut})"
        if min(self.largest_piece, other.largest_piece) < LARGEST_CHUNK:
            return "pieces are too large"
        if not self.dedup_scope == other.dedup_scope == REGION:
            return "data is not shared among projects"
        return None

    def within(self, other: "Terms") -> "Terms":
        """Give terms that keep to both."""
        return replace(
            self,
            largest_batch=min(self.largest_batch, other.largest_batch, LARGEST_BATCH),
            most_pieces=min(self.most_pieces, other.most_pieces, MOST_PIECES),
        )


def own_terms(*, dedup_scope: str, algorithm: str | None) -> Terms:
    """Give the terms of this program: among whom it shares data, and by what it holds it."""
    return Terms(
        version=VERSION,
        cut=Cut.CONTENT.label,
        dedup_scope=dedup_scope,
        hash=algorithm,
        largest_batch=LARGEST_BATCH,
        largest_piece=LARGEST_PIECE,
        most_pieces=MOST_PIECES,
    )


def read_terms(body: Any) -> Terms:
    """Read what a service says of itself; LookupError, TypeError or ValueError where it is none."""
    return Terms(
        version=read_count(body["version"]),
        cut=str(body["cut"]),
        dedup_scope=str(body["dedup_scope"]),
        hash=str(body["hash"]) if "hash" in body else None,
        largest_batch=read_count(body["largest_batch"]) or 1,
        largest_piece=read_count(body["largest_piece"]) or 1,
        most_pieces=read_count(body["most_pieces"]) or 1,
    )


def read_count(value: object) -> int:
    """Read a number of things or bytes; ValueError where it is none."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no number")
    return value
