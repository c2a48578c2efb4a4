"""What is known of a manifest that is read as far as it is needed, from wherever it is."""

from meltemi.chunks.exchange.difference import Place
from meltemi.chunks.manifest import Child, FormatError, Root, Segment, decode_segment
from meltemi.errors import CorruptionError


class Skeleton:
    """The segments that the known ones name, by where they are; at first those of the root.

    `about` says whose manifest it is, for CorruptionError, which is raised of what is no segment,
    or another one than its parent names.
    """

    def __init__(self, about: str, root: Root) -> None:
        self._about = about
        self._children: dict[Place, Child] = {}
        self._learn(root.top, 0)

    def child(self, place: Place) -> Child:
        """Give what a segment's parent says of it."""
        return self._children[place]

    def take(self, place: Place, data: bytes) -> Segment:
        """Take in the bytes of a segment, which are known to have its name."""
        try:
            segment = decode_segment(data, length=self._children[place].length)
        except FormatError as error:
            raise CorruptionError(f"{self._about}: {error}") from error
        if segment.level != place.level:
            raise CorruptionError(f"{self._about}: a segment on the wrong level")
        self._learn(segment, place.offset)
        return segment

    def _learn(self, segment: Segment, at: int) -> None:
        for child in segment.children:
            self._children[Place(segment.level - 1, at)] = child
            at += child.length
