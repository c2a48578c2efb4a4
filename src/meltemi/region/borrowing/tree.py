"""Manifests that are compared: the one here, and the one at a peer."""

from collections.abc import Awaitable, Callable, Sequence

from meltemi.chunks.blob import Buffer, has_name
from meltemi.chunks.exchange.difference import Place
from meltemi.chunks.manifest import Child, FormatError, Root, Segment, decode_root, decode_segment
from meltemi.errors import CorruptionError

Read = Callable[[Sequence[Place]], Awaitable[Sequence[Buffer]]]
"""Gives the bytes of segments."""


class NamedTree:
    """A manifest that is read as far as it is needed; every segment has to have its name.

    Raise CorruptionError where one has not.
    """

    def __init__(self, label: str, root: bytes, read: Read) -> None:
        self._label = label
        self._read = read
        self._children: dict[Place, Child] = {}
        try:
            self._root = decode_root(root)
        except FormatError as error:
            raise CorruptionError(f"{label}: its manifest: {error}") from error
        self._learn(self._root.top, 0)

    @property
    def root(self) -> Root:
        """Give the top of it."""
        return self._root

    async def segments(self, places: Sequence[Place]) -> Sequence[Segment]:
        """Give segments, in the order in which they are asked for."""
        found = await self._read(places)
        return [self._segment(*pair) for pair in zip(places, found, strict=True)]

    def _segment(self, place: Place, data: Buffer) -> Segment:
        child = self._children[place]
        if not has_name(data, child.segment):
            raise CorruptionError(f"{self._label}: its manifest: a segment that is another")
        try:
            segment = decode_segment(bytes(data), length=child.length)
        except FormatError as error:
            raise CorruptionError(f"{self._label}: its manifest: {error}") from error
        if segment.level != place.level:
            raise CorruptionError(f"{self._label}: its manifest: a segment on the wrong level")
        self._learn(segment, place.offset)
        return segment

    def _learn(self, segment: Segment, at: int) -> None:
        for child in segment.children:
            self._children[Place(segment.level - 1, at)] = child
            at += child.length
