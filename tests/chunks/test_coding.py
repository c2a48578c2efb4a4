"""How blobs are stored: smaller where that helps, and never larger than they say."""

import contextlib
import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from meltemi.chunks.coding import PLAIN, ZSTD, decode, encode
from tests.chunks.making import KIB, MIB, noise


def frame(length: int) -> bytes:
    """Give a zstd frame that says it is so long, and has hardly anything in it."""
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", length) + b"\x01\0\0"


@given(data=st.one_of(st.binary(max_size=5000), st.binary(max_size=9).map(lambda x: x * 999)))
def test_whatever_it_is_it_comes_back(data: bytes) -> None:
    for given_as in (data, bytearray(data), memoryview(data)):
        coding, stored = encode(given_as)
        assert len(stored) <= len(data)
        assert bytes(decode(coding, stored, len(data))) == data
        assert bytes(decode(coding, memoryview(stored), len(data))) == data


def test_what_does_not_get_smaller_stays_as_it_is() -> None:
    data = noise(1, 64 * KIB)
    assert encode(data) == (PLAIN, data)
    # One 32nd is the least that is worth it.
    for zeros, expected in ((1 * KIB, PLAIN), (8 * KIB, ZSTD)):
        assert encode(data[zeros:] + bytes(zeros))[0] == expected
    assert encode(b"") == (PLAIN, b"")
    assert encode(b"a")[0] == PLAIN


def test_what_gets_smaller_is_one_frame_that_says_its_length() -> None:
    coding, stored = encode(b"meltemi " * 1000)
    assert coding == ZSTD
    assert len(stored) < 100
    assert zstandard.frame_content_size(bytes(stored)) == 8000
    assert zstandard.ZstdDecompressor().decompress(bytes(stored)) == b"meltemi " * 1000


@pytest.mark.parametrize(
    ("coding", "stored", "length"),
    [
        (PLAIN, b"abc", 2),
        (PLAIN, b"abc", 4),
        (2, b"abc", 3),
        (255, b"abc", 3),
        (ZSTD, b"", 0),
        (ZSTD, b"", 3),
        (ZSTD, b"abc", 3),
        (ZSTD, noise(1, 1000), 1000),
        (ZSTD, frame(100), 100),
        (ZSTD, frame(2**63), 2**63),
        (ZSTD, zstandard.compress(bytes(2 * MIB)), 2 * MIB),
    ],
)
def test_what_was_not_stored_so_is_refused(coding: int, stored: bytes, length: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(coding, stored, length)


@pytest.mark.parametrize("told", [True, False])
def test_a_frame_of_another_length_is_refused(told: bool) -> None:
    data = b"abc" * 1000
    stored = zstandard.ZstdCompressor(write_content_size=told).compress(data)
    assert decode(ZSTD, stored, 3000) == data
    for length in (0, 1, 2999, 3001, MIB):
        with pytest.raises(ValueError, match=r"."):
            decode(ZSTD, stored, length)
    for bad in (stored[:-1], stored + b"\0", stored + stored):
        with pytest.raises(ValueError, match=r"."):
            decode(ZSTD, bad, 3000)


@pytest.mark.parametrize("told", [True, False])
def test_a_bomb_does_not_go_off(told: bool) -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=told).compress(bytes(256 * MIB))
    assert len(bomb) < 32 * KIB
    tracemalloc.start()
    try:
        for stored in (bomb, frame(2**40), frame(2**63)):
            with pytest.raises(ValueError, match=r"."):
                decode(ZSTD, stored, 256 * KIB)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


@given(data=st.binary(max_size=200), length=st.integers(0, 2**40), coding=st.integers(0, 3))
def test_any_bytes_are_decoded_or_refused(data: bytes, length: int, coding: int) -> None:
    for stored in (data, b"\x28\xb5\x2f\xfd" + data):
        with contextlib.suppress(ValueError):
            assert len(decode(coding, stored, length)) == length


def test_threads_do_not_get_in_each_others_way() -> None:
    def there_and_back(seed: int) -> bool:
        chance = Random(seed)
        data = bytes(chance.choices(b"abcdef", k=chance.randrange(1, 100_000)))
        coding, stored = encode(data)
        return coding == ZSTD and decode(coding, stored, len(data)) == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(64)))
