"""Names of blobs: a tag that says what is named and how, and a hash (docs/chunk-store.md)."""

from typing import Final, NewType

from blake3 import blake3

from meltemi.errors import UsageError

BlobId = NewType("BlobId", bytes)
"""33 bytes: a tag and a BLAKE3 hash of 256 bits."""

ID_BYTES: Final = 33
LARGEST_CHUNK: Final = 256 * 2**10
"""Bytes that a chunk holds at most."""

CHUNK: Final = 0x01
SEGMENT: Final = 0x02
ROOT: Final = 0x03

_CONTEXTS: Final = {
    SEGMENT: "meltemi 2026-11-20 manifest segment",
    ROOT: "meltemi 2026-11-20 manifest root",
}
_SCOPE: Final = "meltemi 2026-11-26 scope of chunks"
_SCOPE_BYTES: Final = 16

Buffer = bytes | bytearray | memoryview


def chunk_id(data: Buffer) -> BlobId:
    """Name a chunk by its data."""
    return BlobId(b"\x01" + blake3(data).digest())


def name_blob(tag: int, data: Buffer) -> BlobId:
    """Name a blob of any kind by its bytes."""
    if tag == CHUNK:
        return chunk_id(data)
    return BlobId(bytes([tag]) + blake3(data, derive_key_context=_CONTEXTS[tag]).digest())


def has_name(data: Buffer, blob_id: BlobId) -> bool:
    """Say whether a blob's bytes are those that its name was made of."""
    tag = blob_id[0]
    return tag in (CHUNK, SEGMENT, ROOT) and name_blob(tag, data) == blob_id


def scope_prefix(scope: str) -> bytes:
    """Give what chunks of a scope begin with, so that no other scope ever has one of them."""
    return blake3(scope.encode(), derive_key_context=_SCOPE).digest(_SCOPE_BYTES)


def parse_id(text: str) -> BlobId:
    """Read a blob's name from its hexadecimal form."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != ID_BYTES or len(text) != 2 * ID_BYTES:
        raise UsageError(f"{text!r}: not the name of a blob, which has {2 * ID_BYTES} hex digits")
    return BlobId(raw)
