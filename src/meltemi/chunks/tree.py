"""Building a manifest from its entries, and finding one's way in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from meltemi.chunks.blob import ROOT, SEGMENT, BlobId, Buffer, name_blob
from meltemi.chunks.cut import Cut
from meltemi.chunks.manifest import (
    MOST_ENTRIES,
    Child,
    Entry,
    FormatError,
    Root,
    Segment,
    decode_segment,
    encode_root,
    encode_segment,
)

_LEAST_ENTRIES: Final = 64
_AVERAGE_ENTRIES: Final = 512
_TOGETHER: Final = 16
"""Segments of one level that are fetched at once; a leaf stands for about 32 MiB."""

Keep = Callable[[BlobId, bytes], None]
"""Takes in a blob: its id and its bytes."""

Fetch = Callable[[Sequence[BlobId]], Mapping[BlobId, Buffer]]
"""Gives the verified bytes of blobs."""


class TreeBuilder:
    """Makes a manifest of entries that come in the order of the data."""

    def __init__(self, cut: Cut, keep: Keep) -> None:
        self._cut = cut
        self._keep = keep
        self._size = 0
        self._entries: list[Entry] = []
        self._levels: list[list[Child]] = []

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self._size += entry.length
        self._entries.append(entry)
        if _ends(len(self._entries), entry.chunk):
            self._close_leaf()

    def finish(self) -> BlobId:
        """Close everything; give the root's name."""
        if self._levels and self._entries:
            self._close_leaf()
        level = 0
        while level + 1 < len(self._levels):
            if self._levels[level]:
                self._close(level)
            level += 1
        top = Segment(0, entries=self._entries)
        if self._levels:
            top = Segment(len(self._levels), children=self._levels[-1])
        root = encode_root(Root(self._cut, self._size, top))
        root_id = name_blob(ROOT, root)
        self._keep(root_id, root)
        return root_id

    def _close_leaf(self) -> None:
        self._rise(0, Segment(0, entries=self._entries))
        self._entries = []

    def _close(self, level: int) -> None:
        self._rise(level + 1, Segment(level + 1, children=self._levels[level]))
        self._levels[level] = []

    def _rise(self, level: int, segment: Segment) -> None:
        """Keep a segment and put it into the list of the level above."""
        data = encode_segment(segment)
        segment_id = name_blob(SEGMENT, data)
        self._keep(segment_id, data)
        if level == len(self._levels):
            self._levels.append([])
        children = self._levels[level]
        children.append(Child(segment.length, segment_id))
        if _ends(len(children), segment_id):
            self._close(level)


def _ends(count: int, last: BlobId | None) -> bool:
    if count >= MOST_ENTRIES:
        return True
    if count < _LEAST_ENTRIES or last is None:
        return False
    return int.from_bytes(last[1:5], "little") % _AVERAGE_ENTRIES == 0


def entries_from(
    root: Root, fetch: Fetch, offset: int = 0, end: int | None = None
) -> Iterator[Entry]:
    """Give the entries of a range of the data, the first and the last cut to fit.

    Only the segments on the way are read, neighbours together. Raise FormatError where one does
    not fit in.
    """
    yield from _descend(root.top, offset, root.size if end is None else end, fetch)


def segments_at(root: Root, fetch: Fetch, places: Sequence[tuple[int, int]]) -> list[Buffer]:
    """Give the bytes of segments, each told by its level and where in the data it begins.

    Raise LookupError where none of that level begins; FormatError as `entries_from` does.
    """
    found = [_name_at(root.top, fetch, level, offset) for level, offset in places]
    read = fetch(found)
    return [read[segment] for segment in found]


def _name_at(segment: Segment, fetch: Fetch, level: int, offset: int) -> BlobId:
    at = 0
    for child in segment.children:
        if at <= offset < at + child.length:
            if segment.level - 1 == level and at == offset:
                return child.segment
            if segment.level - 1 <= level:
                break
            below = decode_segment(bytes(fetch([child.segment])[child.segment]))
            if below.level != segment.level - 1:
                raise FormatError("a segment on the wrong level")
            return _name_at(below, fetch, level, offset - at)
        at += child.length
    raise LookupError(f"no segment of level {level} begins at {offset}")


def _descend(segment: Segment, offset: int, end: int, fetch: Fetch) -> Iterator[Entry]:
    at = 0
    wanted: list[tuple[int, Child]] = []
    for child in segment.children:
        if at < end and at + child.length > offset:
            wanted.append((at, child))
        at += child.length
    for begin in range(0, len(wanted), _TOGETHER):
        group = wanted[begin : begin + _TOGETHER]
        found = fetch([child.segment for _, child in group])
        for at, child in group:
            below = decode_segment(bytes(found[child.segment]), length=child.length)
            if below.level != segment.level - 1:
                raise FormatError("a segment on the wrong level")
            yield from _descend(below, max(0, offset - at), end - at, fetch)
    at = 0
    for entry in segment.entries:
        if at >= end:
            return
        skipped = max(0, offset - at)
        used = min(entry.length, end - at) - skipped
        if used > 0:
            within = 0 if entry.chunk is None else entry.offset + skipped
            yield Entry(used, entry.chunk, within)
        at += entry.length
