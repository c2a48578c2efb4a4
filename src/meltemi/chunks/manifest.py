"""Manifests in bytes: leaves, inner segments and roots (docs/chunk-store.md).

Reading is strict: what does not follow the format to the last byte is damage.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from meltemi.chunks.blob import CHUNK, ID_BYTES, LARGEST_CHUNK, SEGMENT, BlobId
from meltemi.chunks.cut import Cut
from meltemi.chunks.numbers import put_number, take_number

LARGEST_DATA: Final = 2**62
MOST_ENTRIES: Final = 2048
"""What a segment holds at most."""

_FORMAT: Final = b"M1"
_ZERO_RUN, _WHOLE_CHUNK, _PART_OF_CHUNK = range(3)


class Entry(NamedTuple):
    """A stretch of data: `length` bytes from `offset` of a chunk, or zeros where there is none."""

    length: int
    chunk: BlobId | None = None
    offset: int = 0


class Child(NamedTuple):
    """A segment, and how many bytes of data it stands for."""

    length: int
    segment: BlobId


@dataclass(frozen=True, slots=True)
class Segment:
    """A list of entries (level 0), or of the segments of the level below."""

    level: int
    entries: Sequence[Entry] = ()
    children: Sequence[Child] = ()

    @property
    def length(self) -> int:
        """Give how many bytes of data it stands for."""
        return sum(part.length for part in self.entries or self.children)


@dataclass(frozen=True, slots=True)
class Root:
    """The top of a manifest."""

    cut: Cut
    size: int
    top: Segment


class FormatError(ValueError):
    """These bytes are no segment of a manifest."""


def encode_segment(segment: Segment) -> bytes:
    """Write a segment."""
    out = bytearray([segment.level])
    for child in segment.children:
        put_number(out, child.length)
        out += child.segment
    for length, chunk, offset in segment.entries:
        if chunk is None:
            put_number(out, length << 2 | _ZERO_RUN)
        elif offset:
            put_number(out, length << 2 | _PART_OF_CHUNK)
            put_number(out, offset)
            out += chunk
        else:
            put_number(out, length << 2 | _WHOLE_CHUNK)
            out += chunk
    return bytes(out)


def decode_segment(data: bytes, *, length: int | None = None) -> Segment:
    """Read a segment, which stands for `length` bytes where that is known."""
    if not data:
        raise FormatError("an empty segment")
    level = data[0]
    parts = _Parts(data, 1)
    if level:
        segment = Segment(level, children=list(parts.children()))
        if not segment.children:
            raise FormatError("a segment of no segments")
    else:
        segment = Segment(0, entries=list(parts.entries()))
    if len(segment.entries or segment.children) > MOST_ENTRIES or segment.length > LARGEST_DATA:
        raise FormatError("a segment that is too large")
    if length is not None and segment.length != length:
        raise FormatError(f"a segment of {segment.length} bytes stands for {length}")
    return segment


def encode_root(root: Root) -> bytes:
    """Write the root of a manifest."""
    out = bytearray(_FORMAT)
    out.append(root.cut)
    put_number(out, root.size)
    return bytes(out) + encode_segment(root.top)


def decode_root(data: bytes) -> Root:
    """Read the root of a manifest."""
    if data[:2] != _FORMAT or len(data) < 4:  # noqa: PLR2004 - format, cut, and a number
        raise FormatError("not the root of a manifest of format 1")
    try:
        cut = Cut(data[2])
    except ValueError:
        raise FormatError(f"an unknown cut: {data[2]}") from None
    parts = _Parts(data, 3)
    size = parts.number()
    return Root(cut, size, decode_segment(data[parts.place :], length=size))


def total(parts: Iterable[Entry | Child]) -> int:
    """Add up lengths."""
    return sum(part.length for part in parts)


class _Parts:
    """Reads numbers and ids one after another."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self.place = place

    def number(self) -> int:
        """Read an unsigned LEB128."""
        try:
            value, self.place = take_number(self._data, self.place)
        except ValueError as error:
            raise FormatError(str(error)) from None
        return value

    def blob_id(self, tag: int) -> BlobId:
        """Read an id that names a blob of one kind."""
        raw = self._data[self.place : self.place + ID_BYTES]
        self.place += ID_BYTES
        if len(raw) < ID_BYTES or raw[0] != tag:
            raise FormatError("not the name of a blob where one should be")
        return BlobId(raw)

    def entries(self) -> Iterable[Entry]:
        """Read the entries of a leaf."""
        while self.place < len(self._data):
            number = self.number()
            length, kind = number >> 2, number & 3
            if kind == _ZERO_RUN:
                entry = Entry(length)
            elif kind == _WHOLE_CHUNK:
                entry = Entry(length, self.blob_id(CHUNK))
            elif kind == _PART_OF_CHUNK:
                offset = self.number()
                entry = Entry(length, self.blob_id(CHUNK), offset)
                if not offset:
                    raise FormatError("a part of a chunk that is its beginning")
            else:
                raise FormatError("an unknown kind of entry")
            if not length or (entry.chunk and entry.offset + length > LARGEST_CHUNK):
                raise FormatError("an entry of an impossible length")
            yield entry

    def children(self) -> Iterable[Child]:
        """Read the segments of an inner segment."""
        while self.place < len(self._data):
            length = self.number()
            if not length:
                raise FormatError("a segment of no data")
            yield Child(length, self.blob_id(SEGMENT))
