"""How a blob's bytes are stored: as they are, or as one zstd frame (RFC 8878)."""

import threading
from typing import Final

import zstandard

from meltemi.chunks.blob import Buffer

PLAIN: Final = 0
ZSTD: Final = 1
LEVEL: Final = 3

_LARGEST_BLOB: Final = 2**20
_UNTOLD: Final = -1
_local = threading.local()


def encode(data: Buffer) -> tuple[int, Buffer]:
    """Give the coding that suits these bytes, and the bytes in it."""
    packed: bytes = _compressor().compress(data)
    if 32 * len(packed) <= 31 * len(data):
        return ZSTD, packed
    return PLAIN, data


def decode(coding: int, stored: Buffer, length: int) -> Buffer:
    """Give back the bytes of a blob; raise ValueError where they are not what was stored."""
    if coding == PLAIN:
        data = stored
    elif coding == ZSTD and length <= _LARGEST_BLOB:
        try:
            # A frame that tells its length is given the memory for it, however much it is.
            told = zstandard.frame_content_size(stored)
            if told not in (length, _UNTOLD):
                raise ValueError(f"{told} bytes instead of {length}")
            data = _decompressor().decompress(
                stored, max_output_size=length, allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
    else:
        raise ValueError(f"an unknown coding: {coding}")
    if len(data) != length:
        raise ValueError(f"{len(data)} bytes instead of {length}")
    return data


def _compressor() -> zstandard.ZstdCompressor:
    # Neither may be shared between threads.
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=LEVEL)
    compressor: zstandard.ZstdCompressor = _local.compressor
    return compressor


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = _local.decompressor
    return decompressor
