"""Building a manifest from its entries, and finding one's way in it."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from meltemi.chunks.blob import ROOT, SEGMENT, BlobId, Buffer, name_blob
from meltemi.chunks.cut import Cut
from meltemi.chunks.manifest import (
    LARGEST_DATA,
    MOST_ENTRIES,
    Child,
    Entry,
    FormatError,
    Root,
    Segment,
    decode_root,
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


def entries_at(root: Root, fetch: Fetch, ranges: Sequence[tuple[int, int]]) -> list[list[Entry]]:
    """Give the entries of several ranges, each told by its offset and its length.

    Of each, they are those that `entries_from` gives; but every segment is read once, in whatever
    order the ranges are, and they may overlap.
    """
    found: list[list[Entry]] = [[] for _ in ranges]
    waiting = sorted(range(len(ranges)), key=ranges.__getitem__, reverse=True)
    open_: list[int] = []
    for at, leaf in _leaves(root.top, 0, _merged(ranges), fetch):
        starts = list(accumulate((entry.length for entry in leaf.entries), initial=at))
        open_ = [one for one in open_ if sum(ranges[one]) > at]
        while waiting and ranges[waiting[-1]][0] < starts[-1]:
            open_.append(waiting.pop())
        for one in open_:
            offset, length = ranges[one]
            begin = max(0, bisect_right(starts, offset) - 1)
            found[one] += _cut_to_fit(leaf, starts, begin, offset, offset + length)
    return found


def tree_segments(root: BlobId, fetch: Fetch) -> Iterator[tuple[BlobId, bytes]]:
    """Give the bytes of all segments of a manifest by their names, each once, the root first."""
    data = bytes(fetch([root])[root])
    yield root, data
    level = [decode_root(data).top]
    given: set[BlobId] = set()
    while level:
        names = [child.segment for segment in level for child in segment.children]
        wanted = [name for name in dict.fromkeys(names) if name not in given]
        given.update(wanted)
        level = []
        for begin in range(0, len(wanted), _TOGETHER):
            group = wanted[begin : begin + _TOGETHER]
            found = fetch(group)
            for name in group:
                data = bytes(found[name])
                yield name, data
                if data[0]:  # the leaves, most of all, lead no further
                    level.append(decode_segment(data))


def whole_entries(
    root: Root, fetch: Fetch, ranges: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, Entry]]:
    """Give all entries of which ranges have something, uncut, and where in the data each begins.

    They come in the order of the data, each once. Raise FormatError as `entries_from` does.
    """
    covered = _merged(ranges)
    for start, leaf in _leaves(root.top, 0, covered, fetch):
        at = start
        for entry in leaf.entries:
            if _has_some(covered, at, entry.length):
                yield at, entry
            at += entry.length


def segments_at(root: Root, fetch: Fetch, places: Sequence[tuple[int, int]]) -> list[Buffer]:
    """Give the bytes of segments, each told by its level and where in the data it begins.

    Raise LookupError where none of that level begins; FormatError as `entries_from` does.
    """
    found = [_name_at(root.top, fetch, level, offset) for level, offset in places]
    read = fetch(found)
    return [read[segment] for segment in found]


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give what ranges cover: beginnings and ends, in order, that do not touch each other."""
    merged: list[tuple[int, int]] = []
    for offset, length in sorted(ranges):
        if merged and offset <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], offset + length))
        else:
            merged.append((offset, offset + length))
    return merged


def _has_some(covered: Sequence[tuple[int, int]], at: int, length: int) -> bool:
    """Say whether something of a stretch is covered."""
    last = bisect_right(covered, (at + length - 1, LARGEST_DATA * 2)) - 1
    return last >= 0 and covered[last][1] > at


def _leaves(
    segment: Segment, at: int, covered: Sequence[tuple[int, int]], fetch: Fetch
) -> Iterator[tuple[int, Segment]]:
    """Give the leaves of which something is covered, and where in the data each begins."""
    if not segment.level:
        yield at, segment
        return
    wanted: list[tuple[int, Child]] = []
    for child in segment.children:
        if _has_some(covered, at, child.length):
            wanted.append((at, child))
        at += child.length
    for group, found in _fetched(wanted, fetch):
        for place, child in group:
            yield from _leaves(_below(segment, child, found), place, covered, fetch)


def _fetched(
    wanted: Sequence[tuple[int, Child]], fetch: Fetch
) -> Iterator[tuple[Sequence[tuple[int, Child]], Mapping[BlobId, Buffer]]]:
    for begin in range(0, len(wanted), _TOGETHER):
        group = wanted[begin : begin + _TOGETHER]
        yield group, fetch([child.segment for _, child in group])


def _below(segment: Segment, child: Child, found: Mapping[BlobId, Buffer]) -> Segment:
    """Read a segment; raise FormatError where it does not fit in below the one that names it."""
    below = decode_segment(bytes(found[child.segment]), length=child.length)
    if below.level != segment.level - 1:
        raise FormatError("a segment on the wrong level")
    return below


def _cut_to_fit(
    leaf: Segment, starts: Sequence[int], begin: int, offset: int, end: int
) -> Iterator[Entry]:
    """Give the entries of a leaf from one of them on that lie between two places of the data."""
    for number in range(begin, len(leaf.entries)):
        at, entry = starts[number], leaf.entries[number]
        if at >= end:
            return
        skipped = max(0, offset - at)
        used = min(entry.length, end - at) - skipped
        if used > 0:
            within = 0 if entry.chunk is None else entry.offset + skipped
            yield Entry(used, entry.chunk, within)


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
    for group, found in _fetched(wanted, fetch):
        for at, child in group:
            below = _below(segment, child, found)
            yield from _descend(below, max(0, offset - at), end - at, fetch)
    starts = list(accumulate((entry.length for entry in segment.entries), initial=0))
    yield from _cut_to_fit(segment, starts, 0, offset, end)
