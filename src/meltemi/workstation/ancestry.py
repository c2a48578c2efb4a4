"""What images were made from, and what each added to that."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from meltemi.chunks.exchange.delta import Origin
from meltemi.chunks.exchange.difference import Base, Piece, difference
from meltemi.chunks.exchange.gathering import Gatherer, spans
from meltemi.chunks.exchange.remote import Holder, RemoteTree
from meltemi.chunks.exchange.terms import Terms
from meltemi.errors import ConflictError, ForbiddenError, VanishedError
from meltemi.libraries.base import Library
from meltemi.libraries.exchanging import Exchange, Loan
from meltemi.model.image import Image
from meltemi.workstation.giving import exchange_of

PARENT: Final = "base_image_ref"
"""The property in which Nova records the image that a server was made of, on its snapshots."""


@dataclass(frozen=True, slots=True)
class Generation:
    """An image of a line: `own` is what its data takes, compressed, that its parent has not.

    That is None where it cannot be told; `end` says why no parent follows, though one is named.
    It is in the library of that name.
    """

    library: str
    image: Image
    own: int | None
    end: str = ""


Elsewhere = Callable[[str], Awaitable[Library | None]]
"""Opens the library of another region of the same cloud, if it can."""


async def ancestry(
    library: Library, image_id: str, elsewhere: Elsewhere
) -> AsyncIterator[Generation]:
    """Give an image, and what it was made from, the youngest first.

    Where an image borrows from another region, its parent is looked for there as well.
    """
    met = await exchange_of(library)
    image = await library.show(image_id)
    seen = {image.id}
    while True:
        loan = None if isinstance(met, str) else await met[0].loan(image.id)
        parent, end = await _parent(library, image)
        home = library
        if parent is None and loan is not None:
            home, parent, end = await _borrowed(library, image, loan, elsewhere)
        if parent is not None and parent.id in seen:
            end = f"its parent {parent.id} descends from it"
            parent = None
        if isinstance(met, str):
            own = None
        else:
            own = loan.own if loan else await _own(*met, image, parent)
        yield Generation(library.name, image, own, end)
        if parent is None:
            return
        if home is not library:
            library, met = home, await exchange_of(home)
        seen.add(parent.id)
        image = parent


async def _parent(library: Library, image: Image) -> tuple[Image | None, str]:
    """Give an image's parent, or say why there is none, though one is named."""
    name = image.properties.get(PARENT)
    if not name:
        return None, ""
    try:
        return await library.show(name), ""
    except (VanishedError, ForbiddenError) as error:
        return None, f"its parent {name} cannot be seen: {error}"


async def _borrowed(
    library: Library, image: Image, loan: Loan, elsewhere: Elsewhere
) -> tuple[Library, Image | None, str]:
    """Look for an image's parent in the region that it borrows from."""
    home = await elsewhere(loan.region)
    if home is None:
        end = f"its parent is in {loan.region}; name the library by its cloud to see it"
        return library, None, end
    return home, *await _parent(home, image)


async def _own(exchange: Exchange, terms: Terms, image: Image, parent: Image | None) -> int | None:
    """Sum what pieces take that an image has and its parent has not."""
    if not image.has_data:
        return None
    try:
        tree = await RemoteTree.open(exchange, Holder(image.id))
        bases = []
        if parent is not None and parent.has_data:
            base = await RemoteTree.open(exchange, Holder(parent.id))
            bases = [Base(base, Origin.IMAGE, 0)]
        return await _size(exchange, terms, image, tree, bases)
    except (ConflictError, ForbiddenError, VanishedError):  # its data is elsewhere, or withheld
        return None


async def _size(
    exchange: Exchange, terms: Terms, image: Image, tree: RemoteTree, bases: list[Base]
) -> int:
    gatherer = Gatherer()

    async def taken() -> int:
        batch = gatherer.take(terms.most_pieces)
        return await exchange.batch_size(image.id, spans(batch.pieces)) if batch else 0

    size = 0
    async with aclosing(difference(tree, bases)) as found:
        async for one in found:
            if isinstance(one, Piece):
                gatherer.add(one)
            if gatherer.count == terms.most_pieces:
                size += await taken()
    return size + await taken()
