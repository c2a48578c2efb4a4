"""Exchanging images by pieces: an ability that a library may have (docs/exchange.md)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol, runtime_checkable

from meltemi.chunks.blob import LARGEST_CHUNK, BlobId
from meltemi.chunks.exchange.batch import LARGEST_BATCH, MOST_PIECES
from meltemi.chunks.exchange.difference import Place
from meltemi.chunks.manifest import Root
from meltemi.model.image import Hashes

VERSION: Final = 1
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


class Holder(NamedTuple):
    """What has a manifest: an image, or a part of one that is coming."""

    image_id: str
    part: int | None = None


class Sought(NamedTuple):
    """A segment that is asked for: where it is, and the name that its bytes must have."""

    place: Place
    name: BlobId


class Span(NamedTuple):
    """A stretch of an image's data, in bytes."""

    offset: int
    length: int


class Loan(NamedTuple):
    """What an image has not itself: from which region and image it is, and what its `own` takes.

    That is in bytes, compressed.
    """

    region: str
    parent: str
    own: int


Spend = Callable[[int], Awaitable[None]]


class Giver(Protocol):
    """What gives images by pieces.

    Errors are those of `Library`. Nothing is given that does not have the name that it was asked
    for by: what was altered on its way is an `InterruptedTransfer`.
    """

    async def root(self, holder: Holder) -> tuple[BlobId, Root]:
        """Give the root of a manifest, and its name."""
        ...

    async def segments(self, holder: Holder, sought: Sequence[Sought]) -> Sequence[bytes]:
        """Give the bytes of segments, at most `TOGETHER`, in the order in which they are named."""
        ...

    async def batch(self, image_id: str, spans: Sequence[Span], spend: Spend) -> bytes:
        """Give pieces of an image's data as a batch; never repeated by itself.

        `spend` is told how many bytes have come, and returns when more may come.
        """
        ...


class Exchange(Giver, Protocol):
    """How to exchange images with one library."""

    async def terms(self) -> Terms | None:
        """Give what the library says of itself; None where it does not exchange."""
        ...

    async def batch_size(self, image_id: str, spans: Sequence[Span]) -> int:
        """Say how many bytes pieces take, compressed one by one; however much data they are."""
        ...

    async def loan(self, image_id: str) -> Loan | None:
        """Say what an image borrows from another region; None where all of it is here."""
        ...

    async def parts(self, image_id: str) -> Mapping[int, int]:
        """Give the numbers of the parts that a queued image has, and their sizes in bytes."""
        ...

    async def put_part(self, image_id: str, number: int, batch: bytes) -> None:
        """Keep a batch as a part; never repeated by itself.

        `ConflictError` says that the number is taken, or that the image has its data.
        """
        ...

    async def put_together(
        self, image_id: str, size: int, hashes: Hashes, delta: AsyncIterator[bytes]
    ) -> None:
        """Send a delta, after which the image of `size` bytes is active.

        It becomes so only if its data has the given hash, where that is of the library's algorithm.
        An exception out of `delta` goes through unchanged and leaves the image queued.
        """
        ...


@runtime_checkable
class Exchanging(Protocol):
    """A library that may be asked whether it exchanges images by pieces."""

    @property
    def exchange(self) -> Exchange:
        """Give the way to do so."""
        ...
