"""Packs: what they hold comes back, and no wrong byte of one goes unnoticed."""

import struct
import tracemalloc
from collections.abc import Callable

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from meltemi.chunks.backends.objects import ObjectBackend
from meltemi.chunks.blob import SEGMENT, chunk_id, name_blob
from meltemi.chunks.coding import encode
from meltemi.chunks.fetching import unpacked
from meltemi.chunks.footers import places_of
from meltemi.chunks.pack import (
    MOST_BLOBS,
    TRAILER_BYTES,
    PackBuilder,
    PackFormatError,
    Place,
    footer_bytes,
    header_of,
    pack_object,
    read_footer,
)
from meltemi.errors import DamageError, MissingError, StoreError
from tests.chunks.making import KIB, MIB, noise


class Memory(ObjectBackend):
    """A backend in memory that counts reads and whose objects may be replaced."""

    def __init__(self) -> None:
        super().__init__("memory:///")
        self.objects: dict[str, bytes] = {}
        self.reads = 0
        self.short = 0

    def read(self, name: str, offset: int, length: int) -> bytes:
        self.reads += 1
        if name not in self.objects:
            raise MissingError(name)
        found = self.objects[name][offset : offset + length]
        return found[: len(found) - self.short]

    def size(self, name: str) -> int | None:
        return len(self.objects[name]) if name in self.objects else None


def packed(*blobs: bytes) -> tuple[str, bytes, list[Place]]:
    """Make a pack; give its id, its bytes and what it holds."""
    builder = PackBuilder()
    for blob in blobs:
        builder.add(chunk_id(blob), *encode(blob), len(blob))
    return builder.pack_id, bytes(builder.close()), builder.places


def looked_at(pack: str, data: bytes) -> list[Place]:
    """Read what a pack holds, header and all."""
    backend = Memory()
    backend.objects[pack_object(pack)] = data
    return places_of(backend, pack, whole_header=True)


@settings(deadline=None)
@given(blobs=st.lists(st.binary(max_size=300), max_size=40))
def test_a_pack_says_what_it_holds(blobs: list[bytes]) -> None:
    pack, data, places = packed(*blobs)
    assert looked_at(pack, data) == places
    assert len(places) == len(blobs)
    for place, blob in zip(places, blobs, strict=True):
        stored = data[place.offset : place.offset + place.stored]
        found = unpacked(place, stored)
        assert found is not None
        assert bytes(found) == blob


BLOBS = (b"first" * 40, noise(1, 50), b"third" * 30)


@pytest.mark.parametrize("mask", [1 << bit for bit in range(8)] + [0xFF])
def test_a_flipped_bit_is_noticed_wherever_it_is(mask: int) -> None:
    pack, data, places = packed(*BLOBS)
    footer = len(data) - footer_bytes(len(places))
    for at in range(len(data)):
        bad = data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
        if at < 24 or at >= footer:
            with pytest.raises(DamageError, match=pack):
                looked_at(pack, bad)
            continue
        assert looked_at(pack, bad) == places
        wrong = 0
        for place, blob in zip(places, BLOBS, strict=True):
            found = unpacked(place, bad[place.offset : place.offset + place.stored])
            assert found is None or bytes(found) == blob, "what is served is right"
            wrong += found is None
        # zstd leaves a bit unused: then nothing is wrong.
        assert wrong == 1 or (wrong == 0 and mask == 0x10)


def test_a_pack_without_its_end_is_damaged() -> None:
    pack, data, _ = packed(*BLOBS)
    for length in range(len(data)):
        with pytest.raises(DamageError, match=pack):
            looked_at(pack, data[:length])
    for more in (b"\0", b"MLTPEND1", data, bytes(200 * KIB)):
        with pytest.raises(DamageError, match=pack):
            looked_at(pack, data + more)
    for less in (data[1:], data[:30] + data[31:]):
        with pytest.raises(DamageError, match=pack):
            looked_at(pack, less)


def test_a_pack_under_another_name_is_damaged() -> None:
    _, data, _ = packed(*BLOBS)
    other = PackBuilder().pack_id
    with pytest.raises(DamageError, match=other):
        looked_at(other, data)
    backend = Memory()
    backend.objects[pack_object(other)] = data
    with pytest.raises(DamageError, match="hash"):
        places_of(backend, other)


def test_a_pack_that_is_not_there_is_missing() -> None:
    with pytest.raises(MissingError, match="is not there"):
        places_of(Memory(), PackBuilder().pack_id)


@pytest.mark.parametrize("count", [0, 1, 3120, 3121, 20_000])
def test_a_footer_is_read_in_two_reads_at_most(count: int) -> None:
    pack, data, places = packed(*(number.to_bytes(4, "big") for number in range(count)))
    backend = Memory()
    backend.objects[pack_object(pack)] = data
    assert places_of(backend, pack) == places
    assert backend.reads == (1 if footer_bytes(count) <= 128 * KIB else 2)


@pytest.mark.parametrize("short", [1, 50, 200 * KIB])
def test_a_backend_that_gives_less_than_it_was_asked_for_is_noticed(short: int) -> None:
    pack, data, _ = packed(*(number.to_bytes(4, "big") for number in range(5000)))
    backend = Memory()
    backend.objects[pack_object(pack)] = data
    backend.short = short
    with pytest.raises(StoreError, match="bytes came; try again") as told:
        places_of(backend, pack)
    assert not isinstance(told.value, DamageError)


def test_half_a_header_is_not_taken_for_damage() -> None:
    class Half(Memory):
        def read(self, name: str, offset: int, length: int) -> bytes:
            return super().read(name, offset, length if offset else length // 2)

    pack, data, _ = packed(*(number.to_bytes(4, "big") for number in range(5000)))
    backend = Half()
    backend.objects[pack_object(pack)] = data
    with pytest.raises(StoreError, match="only 12 of 24 bytes came; try again") as told:
        places_of(backend, pack, whole_header=True)
    assert not isinstance(told.value, DamageError)


def forged(pack: str, footer: bytes, count: int, *, hashed: bool = True) -> bytes:
    """Make the end of a pack that says it has so many blobs."""
    number = struct.pack("<I", count)
    told = blake3(header_of(pack) + footer + number).digest() if hashed else bytes(32)
    return footer + number + told + b"MLTPEND1"


@pytest.mark.parametrize("count", [1, MOST_BLOBS - 1, MOST_BLOBS, MOST_BLOBS + 1, 2**32 - 1])
@pytest.mark.parametrize("hashed", [True, False])
def test_counts_that_cannot_be_are_refused(count: int, hashed: bool) -> None:
    pack = PackBuilder().pack_id
    data = header_of(pack) + forged(pack, b"", count, hashed=hashed)
    tracemalloc.start()
    try:
        with pytest.raises(DamageError, match="longer than it could be"):
            looked_at(pack, data)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_a_pack_of_more_blobs_than_there_may_be_is_refused_unread() -> None:
    pack = PackBuilder().pack_id
    tail = forged(pack, b"", MOST_BLOBS + 1)
    with pytest.raises(PackFormatError, match="longer than it could be"):
        read_footer(pack, tail, 2**40)
    assert read_footer(pack, forged(pack, b"", MOST_BLOBS), 2**40) == footer_bytes(MOST_BLOBS)


def lengths(change: Callable[[int], int]) -> bytes:
    """Make a pack whose footer has another length for its first blob."""
    pack, data, places = packed(*BLOBS)
    end = len(data) - footer_bytes(len(places))
    records = [
        place.blob + struct.pack("<BII", place.coding, change(place.stored) % 2**32, place.length)
        for place in places
    ]
    return pack.encode() + data[:end] + forged(pack, b"".join(records), len(records))


@pytest.mark.parametrize("more", [-1, 1, 2**31])
def test_lengths_that_do_not_add_up_are_refused(more: int) -> None:
    made = lengths(lambda stored: stored + more)
    with pytest.raises(DamageError, match="not as long as its footer says"):
        looked_at(made[:32].decode(), made[32:])


@pytest.mark.parametrize(("bound", "most"), [(32 * MIB, 128), (64 * MIB, 128), (8 * MIB, 32)])
def test_a_pack_is_full_at_its_size(bound: int, most: int) -> None:
    builder = PackBuilder()
    chunk = noise(1, 256 * KIB)
    count = 0
    while not builder.is_full(bound):
        builder.add(chunk_id(chunk), 0, chunk, len(chunk))
        count += 1
    assert count == most
    assert len(builder.close()) == 24 + most * 256 * KIB + footer_bytes(most)
    assert TRAILER_BYTES == 44


def test_blobs_of_all_kinds_are_unpacked_by_their_names() -> None:
    segment = b"\0\x04"
    coding, stored = encode(segment)
    place = Place(name_blob(SEGMENT, segment), 24, len(stored), len(segment), coding)
    assert unpacked(place, stored) == segment
    assert unpacked(place._replace(blob=chunk_id(segment)), stored) == segment
    assert unpacked(place._replace(blob=name_blob(SEGMENT, b"\0\x08")), stored) is None
    assert unpacked(place._replace(coding=9), stored) is None
    assert unpacked(place._replace(length=3), stored) is None
    assert unpacked(place, stored[:-1]) is None
