"""What bundles hold, record by record; read strictly (docs/bundles.md)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from meltemi.chunks.blob import ID_BYTES, BlobId, Buffer
from meltemi.chunks.pack import Place
from meltemi.libraries.archive import metadata
from meltemi.libraries.archive.dedup.documents import SEAL_BYTES
from meltemi.libraries.archive.layout import is_uuid

LARGEST_BLOB: Final = 2**20

_FRAME: Final = struct.Struct("<BI")
_DOCUMENT: Final = struct.Struct("<36sI")
_HEAD: Final = struct.Struct("<32s")
_BLOB: Final = struct.Struct(f"<{ID_BYTES}sBI")
_ID_LENGTH: Final = 36
_LARGEST_VERSION: Final = 10**9 - 1


class Kind(IntEnum):
    """What a record is; in a set they come in this order."""

    DELETED = 1
    DOCUMENT = 2
    HEAD = 3
    BLOB = 4


_LARGEST: Final = {
    Kind.DELETED: _ID_LENGTH,
    Kind.DOCUMENT: _DOCUMENT.size + metadata.LIMIT + SEAL_BYTES,
    Kind.HEAD: 8192,
    Kind.BLOB: _BLOB.size + LARGEST_BLOB,
}


class Readable(Protocol):
    """What records are read from."""

    def read(self, length: int, /) -> bytes:
        """Give that many bytes; fewer only at its end."""
        ...


@dataclass(frozen=True, slots=True)
class Deleted:
    """An image that was deleted."""

    image_id: str


@dataclass(frozen=True, slots=True)
class Document:
    """The metadata of an image in its sealed form."""

    image_id: str
    version: int
    content: bytes


@dataclass(frozen=True, slots=True)
class HeadText:
    """A head's id, and what its object says."""

    head_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob as packs have it, not yet held against its name."""

    id: BlobId
    coding: int
    length: int
    stored: Buffer

    @property
    def place(self) -> Place:
        """Describe it as a pack would."""
        return Place(self.id, 0, len(self.stored), self.length, self.coding)


Record = Deleted | Document | HeadText | Blob


def encode(record: Record) -> bytes:
    """Write a record."""
    match record:
        case Deleted(image_id):
            kind, body = Kind.DELETED, image_id.encode()
        case Document(image_id, version, content):
            kind, body = Kind.DOCUMENT, _DOCUMENT.pack(image_id.encode(), version) + content
        case HeadText(head_id, text):
            kind, body = Kind.HEAD, _HEAD.pack(head_id.encode()) + text.encode()
        case Blob(blob_id, coding, length, stored):
            kind, body = Kind.BLOB, _BLOB.pack(blob_id, coding, length) + stored
    return _FRAME.pack(kind, len(body)) + body


def decode_all(file: Readable, before: Kind) -> Iterator[tuple[Kind, Record]]:
    """Read records to the end, none of a kind `before` that of the last one.

    Raise ValueError at what is none, before it takes up memory.
    """
    while frame := file.read(_FRAME.size):
        if len(frame) < _FRAME.size:
            raise ValueError("it ends within a record")
        number, length = _FRAME.unpack(frame)
        try:
            kind = Kind(number)
        except ValueError:
            raise ValueError(f"a record of the unknown kind {number}") from None
        if kind < before:
            raise ValueError("its records are out of order")
        before = kind
        if length > _LARGEST[kind]:
            raise ValueError(f"a record of {length} bytes, where {_LARGEST[kind]} are the most")
        body = file.read(length)
        if len(body) < length:
            raise ValueError("it ends within a record")
        yield kind, _decode(kind, body)


def _decode(kind: Kind, body: bytes) -> Record:
    try:
        match kind:
            case Kind.DELETED:
                return Deleted(_image_id(body))
            case Kind.DOCUMENT:
                image_id, version = _DOCUMENT.unpack_from(body)
                if not 1 <= version <= _LARGEST_VERSION:
                    raise ValueError("a version that cannot be")
                return Document(_image_id(image_id), version, body[_DOCUMENT.size :])
            case Kind.HEAD:
                (head_id,) = _HEAD.unpack_from(body)
                return HeadText(head_id.decode("ascii"), body[_HEAD.size :].decode("ascii"))
            case Kind.BLOB:
                blob_id, coding, length = _BLOB.unpack_from(body)
                if length > LARGEST_BLOB:
                    raise ValueError(f"a blob of {length} bytes, where {LARGEST_BLOB} are the most")
                stored = memoryview(body)[_BLOB.size :]
                return Blob(BlobId(blob_id), coding, length, stored)
    except struct.error as error:
        raise ValueError("a record that is too short") from error


def _image_id(raw: bytes) -> str:
    image_id = raw.decode("ascii")
    if not is_uuid(image_id):
        raise ValueError("an id that is no UUID")
    return image_id
