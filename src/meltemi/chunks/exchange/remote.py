"""A manifest that somebody else holds, read as far as a comparison needs it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol, Self

from meltemi.chunks.blob import ROOT, BlobId, has_name, parse_id
from meltemi.chunks.exchange.difference import Place
from meltemi.chunks.exchange.skeleton import Skeleton
from meltemi.chunks.manifest import MOST_ENTRIES, Root, Segment, encode_root
from meltemi.chunks.numbers import take_number
from meltemi.errors import InterruptedTransfer, UsageError

LARGEST_SEGMENT: Final = 128 + MOST_ENTRIES * (2 * 10 + 33)
"""Bytes that a segment or a root has at most."""


Spend = Callable[[int], Awaitable[None]]
"""Is told how many bytes have come, and returns when more may come."""


class Holder(NamedTuple):
    """What has a manifest: an image, or a part of one that is coming."""

    image_id: str
    part: int | None = None


class Sought(NamedTuple):
    """A segment that is asked for: where it is, and the name that its bytes must have."""

    place: Place
    name: BlobId


class Top(NamedTuple):
    """The root of a manifest, and its name; `binding` is what is vouched for of its data.

    Where it `is_borrowed`, a part of the data is elsewhere, and nothing can be made of it there.
    """

    name: BlobId
    root: Root
    binding: str | None = None
    is_borrowed: bool = False


class Manifests(Protocol):
    """Somebody who has manifests, each segment of which has the name that it was asked for by.

    What was altered on its way is an `InterruptedTransfer`.
    """

    async def root(self, holder: Holder, unless: BlobId | None = None) -> Top | None:
        """Give the root of a manifest; None where it has the name that is known."""
        ...

    async def segments(self, holder: Holder, sought: Sequence[Sought]) -> Sequence[bytes]:
        """Give the bytes of segments, at most `TOGETHER`, in the order in which they are named."""
        ...


class RemoteTree:
    """The manifest of an image, or of a part; every segment has the name that its parent tells.

    `name` is that of its root; `binding` and `is_borrowed` are as of `Top`. `read` counts the bytes
    that were read of it.
    """

    def __init__(
        self, manifests: Manifests, holder: Holder, top: Top, spend: Spend | None = None
    ) -> None:
        self._manifests = manifests
        self._spend = spend
        self._holder = holder
        self.name, self._root, self.binding, self.is_borrowed = top
        self._skeleton = Skeleton(f"the manifest of image {holder.image_id}", top.root)
        self.read = len(encode_root(top.root))

    @classmethod
    async def open(cls, manifests: Manifests, holder: Holder, spend: Spend | None = None) -> Self:
        """Read the root; `spend` is told of all bytes that come."""
        if (tree := await cls.unlike(manifests, holder, None, spend)) is None:
            raise AssertionError("a root is given to who knows none")
        return tree

    @classmethod
    async def unlike(
        cls,
        manifests: Manifests,
        holder: Holder,
        known: BlobId | None,
        spend: Spend | None = None,
    ) -> Self | None:
        """Read the root as `open` does, unless it has the name that is known; None where it has."""
        if (top := await manifests.root(holder, known)) is None:
            return None
        tree = cls(manifests, holder, top, spend)
        if spend is not None:
            await spend(tree.read)
        return tree

    @property
    def root(self) -> Root:
        """Give the top of it."""
        return self._root

    async def segments(self, places: Sequence[Place]) -> Sequence[Segment]:
        """Give segments, in the order in which they are asked for."""
        sought = [Sought(place, self._skeleton.child(place).segment) for place in places]
        found = await self._read(sought)
        size = sum(map(len, found))
        self.read += size
        if self._spend is not None:
            await self._spend(size)
        return [self._skeleton.take(*pair) for pair in zip(places, found, strict=True)]

    async def _read(self, sought: Sequence[Sought]) -> Sequence[bytes]:
        """Ask for segments; where the answer does not get through, for half of them at a time."""
        try:
            return await self._manifests.segments(self._holder, sought)
        except InterruptedTransfer:
            if len(sought) == 1:
                raise
        half = len(sought) // 2
        return [*await self._read(sought[:half]), *await self._read(sought[half:])]


def root_name(data: bytes, tag: str) -> BlobId | None:
    """Read the name of a root from its entity tag; None where the bytes do not have it."""
    try:
        name = parse_id(tag.removeprefix("W/").strip('"'))
    except UsageError:
        return None
    return name if name[0] == ROOT and has_name(data, name) else None


def parted(data: bytes, count: int) -> list[bytes]:
    """Part an answer into that many segments, each after its length; ValueError if it is none."""
    found, place = [], 0
    for _ in range(count):
        length, place = take_number(data, place)
        found.append(data[place : place + length])
        place += length
    if place != len(data):
        raise ValueError(f"{len(data)} bytes where there should be {place}")
    return found
