"""Packs: many blobs in one object, with a footer that says what they are (docs/chunk-store.md)."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple
from uuid import uuid4

from blake3 import blake3

from meltemi.chunks.blob import ID_BYTES, BlobId, Buffer

FULL: Final = 32 * 2**20
"""Bytes of blobs at which a pack is closed."""

LEAST: Final = 4 * 2**20
"""Bytes at which it is closed where many write at once."""

_BEGIN: Final = b"MLTPACK1"
_END: Final = b"MLTPEND1"
_RECORD: Final = struct.Struct(f"<{ID_BYTES}sBII")
_COUNT: Final = struct.Struct("<I")
HEADER_BYTES: Final = 8 + 16
TRAILER_BYTES: Final = 4 + 32 + 8
MOST_BLOBS: Final = 2**20
"""What a footer is believed to list, so that a false one cannot use up memory."""


class Place(NamedTuple):
    """Where a blob lies in a pack, and how."""

    blob: BlobId
    offset: int
    stored: int
    length: int
    coding: int


class PackFormatError(ValueError):
    """These bytes are not those of a pack."""


class PackBuilder:
    """Gathers blobs into the bytes of one pack."""

    def __init__(self) -> None:
        self.pack_id = uuid4().hex
        self.places: list[Place] = []
        self._out = bytearray(_BEGIN + bytes.fromhex(self.pack_id))

    def is_full(self, bound: int) -> bool:
        """Say whether it should be closed, where it may take no more than so many bytes."""
        return len(self._out) >= min(FULL, bound) or len(self.places) >= MOST_BLOBS

    def add(self, blob: BlobId, coding: int, stored: Buffer, length: int) -> None:
        """Append a blob of `length` bytes in its coded form."""
        self.places.append(Place(blob, len(self._out), len(stored), length, coding))
        self._out += stored

    def blobs(self) -> Iterator[tuple[Place, Buffer]]:
        """Give what was gathered, each with its bytes as they are stored."""
        with memoryview(self._out) as view:
            for place in self.places:
                yield place, view[place.offset : place.offset + place.stored]

    def close(self) -> bytearray:
        """Append the footer and give the whole pack."""
        footer = b"".join(
            _RECORD.pack(place.blob, place.coding, place.stored, place.length)
            for place in self.places
        )
        self._out += footer + _trailer(self.pack_id, footer)
        return self._out


def pack_object(pack_id: str) -> str:
    """Give the name of a pack's object in the backend."""
    return f"packs/{pack_id[:2]}/{pack_id}"


def footer_bytes(count: int) -> int:
    """Give the length of footer and trailer of a pack of so many blobs."""
    return count * _RECORD.size + TRAILER_BYTES


def read_footer(pack_id: str, tail: bytes, size: int) -> list[Place] | int:
    """Read what a pack of `size` bytes holds from its last bytes.

    Where the tail is too short, give the length that is needed instead.
    """
    if len(tail) < TRAILER_BYTES or not tail.endswith(_END):
        raise PackFormatError("it does not end as a pack does")
    (count,) = _COUNT.unpack_from(tail, len(tail) - TRAILER_BYTES)
    needed = footer_bytes(count)
    if count > MOST_BLOBS or needed + HEADER_BYTES > size:
        raise PackFormatError("its footer is longer than it could be")
    if needed > len(tail):
        return needed
    footer = tail[-needed:-TRAILER_BYTES]
    if tail[-TRAILER_BYTES:] != _trailer(pack_id, footer):
        raise PackFormatError("its footer does not have its hash")
    places = _places(footer)
    if HEADER_BYTES + sum(place.stored for place in places) + needed != size:
        raise PackFormatError("it is not as long as its footer says")
    return places


def header_of(pack_id: str) -> bytes:
    """Give the first bytes of a pack."""
    return _BEGIN + bytes.fromhex(pack_id)


def _places(footer: bytes) -> list[Place]:
    places = []
    offset = HEADER_BYTES
    for blob, coding, stored, length in _RECORD.iter_unpack(footer):
        places.append(Place(BlobId(blob), offset, stored, length, coding))
        offset += stored
    return places


def _trailer(pack_id: str, footer: bytes) -> bytes:
    count = _COUNT.pack(len(footer) // _RECORD.size)
    return count + blake3(header_of(pack_id) + footer + count).digest() + _END
