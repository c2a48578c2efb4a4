"""Batches: what is written is read, and nothing else is, however it was altered."""

import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from meltemi.chunks.exchange.batch import (
    LARGEST_BATCH,
    LARGEST_FRAME,
    LARGEST_PIECE,
    MOST_PIECES,
    BatchError,
    decode_batch,
    encode_batch,
)
from tests.chunks.making import KIB

PIECES = [b"one", b"two" * 5000, bytes(LARGEST_PIECE)]


def packed(content: bytes, *, sized: bool = True) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_content_size=sized).compress(content)


def unpacked(batch: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(batch)


@given(st.lists(st.binary(min_size=1, max_size=3 * KIB), min_size=1, max_size=30))
def test_what_is_written_is_read(pieces: list[bytes]) -> None:
    assert decode_batch(encode_batch(pieces)) == pieces


def test_the_bytes_are_as_they_are_described() -> None:
    content = unpacked(encode_batch([b"abc", b"d" * 200]))
    assert content[:5] == b"MLB1\x02"
    assert content[5] == 3
    assert content[38:40] == bytes([0xC8, 0x01])
    assert content[72:] == b"abc" + b"d" * 200
    told = zstandard.get_frame_parameters(encode_batch([b"abc"]))
    assert (told.content_size, told.has_checksum) == (4 + 1 + 33 + 3, True)


def test_the_largest_batch_is_within_what_is_said_of_it() -> None:
    noise = random.Random(1).randbytes(LARGEST_PIECE)
    pieces = [noise] * (LARGEST_BATCH // LARGEST_PIECE)
    batch = encode_batch(pieces)
    assert len(batch) < LARGEST_BATCH // 50  # what is alike is found however far away it lies
    assert decode_batch(batch) == pieces
    several = [random.Random(n).randbytes(LARGEST_BATCH // MOST_PIECES) for n in range(MOST_PIECES)]
    assert LARGEST_BATCH < len(encode_batch(several)) < LARGEST_FRAME


def test_every_flipped_byte_is_noticed() -> None:
    batch = encode_batch(PIECES[:2])
    for place in range(len(batch)):
        altered = bytearray(batch)
        altered[place] ^= 1 << place % 8
        try:
            assert (
                decode_batch(bytes(altered)) == PIECES[:2]
            )  # a bit of the header that says nothing
        except BatchError:
            pass
        else:
            assert place < 6


def test_a_piece_is_held_against_its_hash_whoever_packed_it() -> None:
    content = bytearray(unpacked(encode_batch(PIECES)))
    content[-1] ^= 1
    with pytest.raises(BatchError, match="piece 2 was altered"):
        decode_batch(packed(bytes(content)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MLB1",
        b"MLB2\x01\x01",
        b"MLB1\x00",
        b"MLB1\x81\x00" + bytes(200),
        b"MLB1\x01\x00" + bytes(32),
        b"MLB1\x01\x03" + bytes(32) + b"ab",
        b"MLB1\x01\x01" + bytes(32) + b"ab",
        b"MLB1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"MLB1\x81\x20" + bytes(33 * 4097),
        b"MLB1\x01\x81\x80\x10" + bytes(32 + LARGEST_PIECE + 1),
    ],
)
def test_what_is_no_batch_is_refused(content: bytes) -> None:
    with pytest.raises(BatchError):
        decode_batch(packed(content))


@given(st.binary(max_size=200))
def test_rubbish_is_refused(rubbish: bytes) -> None:
    with pytest.raises(BatchError):
        decode_batch(rubbish)


def test_no_more_is_unpacked_than_a_batch_may_have() -> None:
    """What tells no size, or a huge one, is refused before it is given memory."""
    bomb = packed(bytes(2**30))
    with pytest.raises(BatchError, match="tells 1073741824"):
        decode_batch(bomb)
    with pytest.raises(BatchError):
        decode_batch(packed(b"MLB1", sized=False))
    lies = bytearray(packed(bytes(60 * 2**20)))
    told = (60 * 2**20).to_bytes(4, "little")
    place = bytes(lies).index(told)
    lies[place : place + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(BatchError):
        decode_batch(bytes(lies))


def test_a_window_that_takes_too_much_memory_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    frame = packer.compress(bytes(LARGEST_BATCH)) + packer.flush()
    with pytest.raises(BatchError):
        decode_batch(frame)
