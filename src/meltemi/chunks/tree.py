"""Building a manifest from its entries, and finding one's way in it."""

from collections.abc import Callable, Iterator
from typing import Final

from meltemi.chunks.blob import ROOT, SEGMENT, BlobId, name_blob
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

Keep = Callable[[BlobId, bytes], None]
"""Takes in a blob: its id and its bytes."""

Fetch = Callable[[BlobId], bytes]
"""Gives the verified bytes of a blob."""


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


def entries_from(root: Root, fetch: Fetch, offset: int = 0) -> Iterator[Entry]:
    """Give the entries of the data from an offset on, the first cut to begin there.

    Only the segments on the way are read. Raise FormatError where one does not fit in.
    """
    yield from _descend(root.top, offset, fetch)


def _descend(segment: Segment, offset: int, fetch: Fetch) -> Iterator[Entry]:
    for length, segment_id in segment.children:
        if offset >= length:
            offset -= length
            continue
        below = decode_segment(fetch(segment_id), length=length)
        if below.level != segment.level - 1:
            raise FormatError("a segment on the wrong level")
        yield from _descend(below, offset, fetch)
        offset = 0
    for entry in segment.entries:
        if offset >= entry.length:
            offset -= entry.length
        elif offset:
            within = 0 if entry.chunk is None else entry.offset + offset
            yield Entry(entry.length - offset, entry.chunk, within)
            offset = 0
        else:
            yield entry
