"""From an image whose data is all here to one that has only what its parent lacks."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

from meltemi.chunks.exchange.delta import Origin, joined
from meltemi.chunks.exchange.delta import Stretch as Found
from meltemi.chunks.exchange.difference import Base, Piece, Place, difference
from meltemi.chunks.manifest import LARGEST_DATA, Entry
from meltemi.errors import ConflictError
from meltemi.model.record import Content, Loan
from meltemi.region.borrowing.layout import Description, Source, Stretch, encode_description
from meltemi.region.borrowing.peer import Peer
from meltemi.region.borrowing.tree import NamedTree
from meltemi.region.data.pieces import Pieces

WORTH: Final = 2**20
"""Bytes that have to be saved; less is not worth that another region is asked at every read."""

_SIZED: Final = 4096
"""Pieces whose size is asked for at once."""


class Made(NamedTuple):
    """How an image is put together, and where in its data the pieces are that it has itself."""

    stretches: Sequence[Stretch]
    own: Sequence[tuple[int, int]]
    lent: int


async def make(pieces: Pieces, peer: Peer, loan: Loan, whole: Content, name: str) -> int | None:
    """Store, under a name, what is borrowed in place of all; give what its own data takes.

    None where it is not worth it. The hold has to be there.
    """
    made = await _compared(pieces, peer, loan)
    if made.lent < WORTH:
        return None
    segments = await pieces.tree(loan.source)
    description = Description(
        size=whole.size,
        region=peer.name,
        hold=loan.hold,
        hash=(whole.hashes.algorithm or "", whole.hashes.value or ""),
        own=sum(length for _, length in made.own),
        segments=segments,
        stretches=made.stretches,
    )
    tree, end = [segment for segment, _ in segments], encode_description(description)
    await pieces.store_borrowed(loan.source, made.own, tree, end, name)
    groups = (made.own[at : at + _SIZED] for at in range(0, len(made.own), _SIZED))
    return sum([await pieces.batch_size(loan.source, group) for group in groups])


async def _compared(pieces: Pieces, peer: Peer, loan: Loan) -> Made:
    data = await pieces.open(loan.source)

    async def mine(places: Sequence[Place]) -> Sequence[bytes]:
        return [bytes(one) for one in await pieces.segments(data, places)]

    async def theirs(places: Sequence[Place]) -> Sequence[bytes]:
        return await peer.segments(loan.hold, places)

    _, root = await pieces.root(loan.source)
    tree = NamedTree(f"data {loan.source}", root, mine)
    parent = NamedTree(f"{peer.name}: image {loan.hold}", await peer.root(loan.hold), theirs)
    if tree.root.cut != parent.root.cut or tree.root.size > LARGEST_DATA:
        raise ConflictError(f"{peer.name}: image {loan.hold}: it is cut otherwise")
    own: list[tuple[int, int]] = []
    places: dict[Entry, int] = {}
    found: list[Found] = []
    end = 0
    async with aclosing(difference(tree, [Base(parent, Origin.IMAGE, 0)])) as parts:
        async for part in parts:
            if not isinstance(part, Piece):
                found.append(part)
                continue
            if part.entry not in places:
                places[part.entry] = end
                own.append((part.offset, part.entry.length))
                end += part.entry.length
            found.append(Found(part.entry.length, Origin.PART, 0, places[part.entry]))
    stretches = [_stretch(one) for one in joined(found)]
    lent = sum(one.length for one in stretches if one.source is Source.LENT)
    return Made(stretches, own, lent)


def _stretch(found: Found) -> Stretch:
    if found.origin is None:
        return Stretch(found.length)
    source = Source.LENT if found.origin is Origin.IMAGE else Source.OWN
    return Stretch(found.length, source, found.offset)
