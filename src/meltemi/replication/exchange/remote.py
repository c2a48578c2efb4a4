"""A manifest that a library holds, read as far as a comparison needs it."""

from collections.abc import Sequence
from typing import Self

from meltemi.chunks.exchange.difference import Place
from meltemi.chunks.manifest import (
    Child,
    FormatError,
    Root,
    Segment,
    decode_segment,
    encode_root,
)
from meltemi.errors import CorruptionError
from meltemi.libraries.exchanging import Giver, Holder, Sought, Spend


class RemoteTree:
    """The manifest of an image, or of a part; every segment has the name that its parent tells.

    `read` counts the bytes that were read of it.
    """

    def __init__(
        self, giver: Giver, holder: Holder, root: Root, spend: Spend | None = None
    ) -> None:
        self._giver = giver
        self._spend = spend
        self._holder = holder
        self._root = root
        self._children: dict[Place, Child] = {}
        self.read = len(encode_root(root))
        self._learn(root.top, 0)

    @classmethod
    async def open(cls, giver: Giver, holder: Holder, spend: Spend | None = None) -> Self:
        """Read the root; `spend` is told of all bytes that come."""
        _, root = await giver.root(holder)
        tree = cls(giver, holder, root, spend)
        if spend is not None:
            await spend(tree.read)
        return tree

    @property
    def root(self) -> Root:
        """Give the top of it."""
        return self._root

    async def segments(self, places: Sequence[Place]) -> Sequence[Segment]:
        """Give segments, in the order in which they are asked for."""
        children = [self._children[place] for place in places]
        sought = [Sought(*pair) for pair in zip(places, (c.segment for c in children), strict=True)]
        read = await self._giver.segments(self._holder, sought)
        if self._spend is not None:
            await self._spend(sum(map(len, read)))
        return [
            self._segment(place, child, data)
            for place, child, data in zip(places, children, read, strict=True)
        ]

    def _segment(self, place: Place, child: Child, data: bytes) -> Segment:
        about = f"the manifest of image {self._holder.image_id}"
        self.read += len(data)
        try:
            segment = decode_segment(data, length=child.length)
        except FormatError as error:
            raise CorruptionError(f"{about}: {error}") from error
        if segment.level != place.level:
            raise CorruptionError(f"{about}: a segment on the wrong level")
        self._learn(segment, place.offset)
        return segment

    def _learn(self, segment: Segment, at: int) -> None:
        for child in segment.children:
            self._children[Place(segment.level - 1, at)] = child
            at += child.length
