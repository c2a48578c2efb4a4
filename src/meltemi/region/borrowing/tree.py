"""Manifests that are compared: the one here, and the one at a peer."""

from collections.abc import Awaitable, Callable, Sequence

from meltemi.chunks.blob import Buffer, has_name
from meltemi.chunks.exchange.difference import Place
from meltemi.chunks.exchange.skeleton import Skeleton
from meltemi.chunks.manifest import FormatError, Root, Segment, decode_root
from meltemi.errors import CorruptionError

Read = Callable[[Sequence[Place]], Awaitable[Sequence[Buffer]]]
"""Gives the bytes of segments."""


class NamedTree:
    """A manifest that is read as far as it is needed; every segment has to have its name.

    Raise CorruptionError where one has not.
    """

    def __init__(self, label: str, root: bytes, read: Read) -> None:
        self._about = f"{label}: its manifest"
        self._read = read
        try:
            self._root = decode_root(root)
        except FormatError as error:
            raise CorruptionError(f"{self._about}: {error}") from error
        self._skeleton = Skeleton(self._about, self._root)

    @property
    def root(self) -> Root:
        """Give the top of it."""
        return self._root

    async def segments(self, places: Sequence[Place]) -> Sequence[Segment]:
        """Give segments, in the order in which they are asked for."""
        found = await self._read(places)
        return [self._segment(*pair) for pair in zip(places, found, strict=True)]

    def _segment(self, place: Place, data: Buffer) -> Segment:
        if not has_name(data, self._skeleton.child(place).segment):
            raise CorruptionError(f"{self._about}: a segment that is another")
        return self._skeleton.take(place, bytes(data))
