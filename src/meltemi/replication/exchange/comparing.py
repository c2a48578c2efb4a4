"""Comparing an image with what a target has of it already."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from meltemi.chunks.exchange.delta import MOST_IMAGES, Origin, Stretch
from meltemi.chunks.exchange.difference import Base, Piece, difference
from meltemi.chunks.exchange.remote import Holder, RemoteTree, Spend
from meltemi.chunks.exchange.terms import Terms
from meltemi.errors import ImageError, InterruptedTransfer
from meltemi.libraries.base import Library
from meltemi.libraries.exchanging import Exchange, Exchanging, Giver
from meltemi.model.image import Image

_log: Final = logging.getLogger(__name__)

_AT_ONCE: Final = 8
"""Manifests that are opened at the same time."""


class _Said(Enum):
    """What is said of a base without its manifest."""

    SAME = "it has the same data"
    NO = "it is none"


G_co = TypeVar("G_co", bound=Giver, covariant=True)


@dataclass(frozen=True, slots=True)
class Ends(Generic[G_co]):
    """Two ends of an exchange, and what both keep to."""

    source: G_co
    target: Exchange
    terms: Terms
    is_near: bool = False
    """Whether the source is this machine, so that no wire carries its manifests."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What an image consists of, as far as the target has it: `images` are its bases there."""

    images: tuple[str, ...]
    found: AsyncGenerator[Stretch | Piece]
    trees: Sequence[RemoteTree]
    """Those that are read over a wire."""
    unused: int = 0
    """The first of the numbers that no part has."""
    binding: str | None = None
    """What is vouched for of the data."""

    @property
    def read(self) -> int:
        """Give the bytes of manifests that were read so far."""
        return sum(tree.read for tree in self.trees)


async def meet(source: Library, target: Library) -> Ends[Exchange] | str | None:
    """Give both libraries as ends of an exchange, or say in a word why they are none.

    None where neither exchanges with anybody.
    """
    one, other = await asyncio.gather(_asked(source), _asked(target))
    if one is None and other is None:
        return None
    if one is None or other is None:
        return f"{(source if one is None else target).name} does not exchange pieces"
    if (why := one[1].mismatch(other[1])) is not None:
        return why
    return Ends(one[0], other[0], one[1].within(other[1]))


async def _asked(library: Library) -> tuple[Exchange, Terms] | None:
    if not isinstance(library, Exchanging):
        return None
    terms = await library.exchange.terms()
    return None if terms is None else (library.exchange, terms)


async def compare(
    ends: Ends[Giver],
    image: Image,
    bases: Sequence[str],
    incoming: str | None,
    *,
    coming: Mapping[str, Image] = MappingProxyType({}),
    spend: Spend | None = None,
) -> Comparison:
    """Compare a source's image with bases at the target, and with the parts of one that waits.

    Bases that cannot be read are left out. Where one has the same data, nothing is compared. Those
    that are yet `coming`, by the ids that they will have, are read where they come from. `spend` is
    told of bytes that came.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    source = await RemoteTree.open(ends.source, Holder(image.id), spend)

    async def base(image_id: str) -> RemoteTree | _Said:
        origin = coming.get(image_id)
        end: Giver = ends.target if origin is None else ends.source
        holder = Holder(image_id if origin is None else origin.id)
        try:
            async with gate:
                tree = await RemoteTree.unlike(end, holder, source.name, spend)
        except ImageError as error:
            if isinstance(error, InterruptedTransfer):
                raise
            _log.info("no base: %s", error)
            return _Said.NO
        if tree is None:
            return _Said.SAME
        is_here = origin is not None or not tree.is_borrowed
        return tree if is_here else _Said.NO

    async def part(number: int) -> RemoteTree:
        async with gate:
            return await RemoteTree.open(ends.target, Holder(incoming or "", number), spend)

    async def parts() -> Mapping[int, RemoteTree]:
        numbers = await ends.target.parts(incoming) if incoming is not None else ()
        return dict(zip(numbers, await asyncio.gather(*map(part, numbers)), strict=True))

    bases = bases[:MOST_IMAGES]
    found, arrived = await asyncio.gather(asyncio.gather(*map(base, bases)), parts())
    near = () if ends.is_near else (source,)
    if _Said.SAME in found:
        same = bases[found.index(_Said.SAME)]
        return Comparison((same,), _whole(image), near, binding=source.binding)
    there = {i: tree for i, tree in zip(bases, found, strict=True) if isinstance(tree, RemoteTree)}
    compared = [Base(tree, Origin.IMAGE, n) for n, tree in enumerate(there.values())]
    compared += [Base(tree, Origin.PART, n) for n, tree in arrived.items()]
    return Comparison(
        tuple(there),
        difference(source, compared),
        (*near, *there.values(), *arrived.values()),
        max(arrived, default=-1) + 1,
        source.binding,
    )


async def _whole(image: Image) -> AsyncGenerator[Stretch | Piece]:
    yield Stretch(image.size or 0, Origin.IMAGE)
