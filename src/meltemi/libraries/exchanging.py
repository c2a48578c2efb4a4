"""Exchanging images by pieces: an ability that a library may have (docs/exchange.md)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from meltemi.chunks.exchange.gathering import Span
from meltemi.chunks.exchange.remote import Manifests, Spend
from meltemi.chunks.exchange.terms import Terms
from meltemi.model.image import Hashes


class Loan(NamedTuple):
    """What an image has not itself: from which region and image it is, and what its `own` takes.

    That is in bytes, compressed.
    """

    region: str
    parent: str
    own: int


class Giver(Manifests, Protocol):
    """What gives images by pieces.

    Errors are those of `Library`. Nothing is given that does not have the name that it was asked
    for by: what was altered on its way is an `InterruptedTransfer`.
    """

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
        self,
        image_id: str,
        size: int,
        hashes: Hashes,
        delta: AsyncIterator[bytes],
        binding: str | None = None,
    ) -> None:
        """Send a delta, after which the image of `size` bytes is active.

        It becomes so only if its data has the given hash, where that is of the library's algorithm.
        With the `binding` of somebody whom the library trusts, it need not read the data for that.
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
