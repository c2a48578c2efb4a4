"""What an import gets from where it imports."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from meltemi.chunks.exchange.delta import Stretches
from meltemi.errors import CorruptionError, SilentError
from meltemi.model.image import Hashes, Image
from meltemi.model.record import Content, Record
from meltemi.model.task import Carried
from meltemi.region.data.contents import Contents


class Pulled(Protocol):
    """An image that is put together here, while pieces of it come."""

    def data(self) -> AsyncGenerator[bytes]:
        """Give the data; close it when done."""
        ...

    async def vouched(
        self, image: Image, size: int, watched: Callable[[Stretches], Stretches]
    ) -> Content | None:
        """Store it, of so many bytes, and read none of it; None where nobody vouches for it.

        The stretches that it is made of pass by `watched` as they come.
        """
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """An image's data as it comes, and what is said about it.

    `length` is in bytes. What comes must have the `hashes`, as far as they are known. Where it is
    `pulled`, it need not be read if somebody vouches for it.
    """

    data: AsyncIterator[bytes]
    length: int | None = None
    hashes: Hashes = field(default_factory=Hashes)
    carried: Carried | None = None
    pulled: Pulled | None = None


Source = AbstractAsyncContextManager[Fetched]
"""Connects when it is entered, and lets go when it is left."""

_ALGORITHMS: Final = frozenset(
    name for name in hashlib.algorithms_guaranteed if not name.startswith("shake_")
)


STALLED_SECONDS: Final = 60.0
ENOUGH: Final = 2**20
"""A source that gives less than so many bytes in so many seconds is given up."""


async def lively(label: str, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pass on what comes; raise SilentError where hardly anything does.

    Only the time counts for which it is waited for, not that in which it is stored.
    """
    clock = asyncio.get_running_loop()
    left, size = STALLED_SECONDS, 0
    while True:
        began = clock.time()
        try:
            async with asyncio.timeout(left):
                piece = await anext(data, None)
        except TimeoutError as error:
            raise stalled(label) from error
        if piece is None:
            return
        left -= clock.time() - began
        size += len(piece)
        if size >= ENOUGH:
            left, size = STALLED_SECONDS, 0
        yield piece


def stalled(label: str) -> SilentError:
    """Say that a source was given up because too little came."""
    return SilentError(
        f"{label}: the connection broke: less than {ENOUGH // 2**20} MiB came in "
        f"{STALLED_SECONDS:.0f} seconds"
    )


async def verified(
    data: AsyncIterator[bytes], hashes: Hashes, computed: str
) -> AsyncIterator[bytes]:
    """Pass data on, hashed by the algorithm of `hashes`, unless that is `computed` anyway.

    Raise CorruptionError at its end where it does not have that hash.
    """
    known = hashes.algorithm in _ALGORITHMS
    if hashes.value is None or hashes.algorithm == computed or not known:
        async for piece in data:
            yield piece
        return
    digest = hashlib.new(str(hashes.algorithm), usedforsecurity=False)
    async for piece in data:
        await asyncio.to_thread(digest.update, piece)
        yield piece
    if digest.hexdigest() != hashes.value:
        raise CorruptionError(f"The data does not have the {hashes.algorithm} recorded for it")


def contradicts(found: Hashes, expected: Hashes) -> bool:
    """Say whether data has another hash than is expected, as far as that one was computed."""
    same = found.algorithm == expected.algorithm
    return expected.checksum not in (None, found.checksum) or (
        same and expected.value not in (None, found.value)
    )


@asynccontextmanager
async def expecting(source: Source, hashes: Hashes, computed: str) -> AsyncIterator[Fetched]:
    """Make what comes from a source be held against hashes; `computed` is done of it anyway."""
    async with source as fetched:
        data = verified(fetched.data, hashes, computed)
        yield replace(fetched, data=data, hashes=hashes)


@asynccontextmanager
async def stored(contents: Contents, record: Record) -> AsyncIterator[Fetched]:
    """Read the data that an image of the region has."""
    async with aclosing(contents.read(record.content or "")) as pieces:
        yield Fetched((bytes(piece) async for piece in pieces), record.image.size)
