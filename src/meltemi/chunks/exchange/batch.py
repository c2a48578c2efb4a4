"""Batches: pieces of data on their way, compressed together (docs/exchange.md)."""

from collections.abc import Sequence
from typing import Final

import zstandard
from blake3 import blake3

from meltemi.chunks.blob import LARGEST_CHUNK, Buffer
from meltemi.chunks.numbers import put_number, take_number

MEDIA_TYPE: Final = "application/vnd.meltemi.batch"

LARGEST_BATCH: Final = 32 * 2**20
"""Bytes of data that a batch holds at most."""

LARGEST_PIECE: Final = LARGEST_CHUNK
MOST_PIECES: Final = 4096

_MAGIC: Final = b"MLB1"
_HASH_BYTES: Final = 32
_LONGEST_NUMBER: Final = 3
_HEADER: Final = len(_MAGIC) + _LONGEST_NUMBER + MOST_PIECES * (_LONGEST_NUMBER + _HASH_BYTES)
_WINDOW_LOG: Final = 25
_LEVEL: Final = 3

LARGEST_FRAME: Final = (LARGEST_BATCH + _HEADER) * 257 // 256 + 1024
"""Bytes that a batch has at most as it is sent, where nothing can be compressed (RFC 8878)."""


class BatchError(ValueError):
    """These bytes are no batch, or were altered on their way."""


def encode_batch(pieces: Sequence[Buffer]) -> bytes:
    """Write pieces as a batch; they must be within its bounds."""
    out = bytearray(_MAGIC)
    put_number(out, len(pieces))
    for piece in pieces:
        put_number(out, len(piece))
        out += blake3(piece).digest()
    for piece in pieces:
        out += piece
    # Far matches: the same stretches lie scattered over an image.
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW_LOG, enable_ldm=True, write_checksum=True, source_size=len(out)
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(out)


def decode_batch(frame: Buffer) -> list[memoryview]:
    """Give the pieces of a batch, each held against its hash; raise BatchError."""
    content = _unpacked(frame)
    if bytes(content[: len(_MAGIC)]) != _MAGIC:
        raise BatchError("not a batch of format 1")
    try:
        count, place = take_number(content, len(_MAGIC))
        lengths, hashes = [], []
        for _ in range(_checked(count, MOST_PIECES, "pieces")):
            length, place = take_number(content, place)
            lengths.append(_checked(length, LARGEST_PIECE, "bytes in a piece"))
            hashes.append(content[place : place + _HASH_BYTES])
            place += _HASH_BYTES
    except BatchError:
        raise
    except ValueError as error:
        raise BatchError(f"not a batch: {error}") from None
    if len(content) - place != sum(lengths):
        raise BatchError(f"a batch of {sum(lengths)} bytes has {len(content) - place}")
    pieces = []
    for number, (length, told) in enumerate(zip(lengths, hashes, strict=True)):
        piece = content[place : place + length]
        if blake3(piece).digest() != told:
            raise BatchError(f"piece {number} was altered on its way")
        pieces.append(piece)
        place += length
    return pieces


def _checked(count: int, most: int, what: str) -> int:
    if not 1 <= count <= most:
        raise BatchError(f"{count} {what}, where there are 1 to {most}")
    return count


def _unpacked(frame: Buffer) -> memoryview:
    try:
        told = zstandard.get_frame_parameters(frame)
        # A frame is given the memory for what it tells, however much it is.
        if not 0 < told.content_size <= LARGEST_BATCH + _HEADER:
            raise BatchError(f"a batch of at most {LARGEST_BATCH} bytes tells {told.content_size}")
        unpacker = zstandard.ZstdDecompressor(max_window_size=2**_WINDOW_LOG)
        content = unpacker.decompress(
            frame, max_output_size=told.content_size, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise BatchError(f"not a batch: {error}") from None
    return memoryview(content)
