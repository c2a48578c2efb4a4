"""Sources that lie, break and vanish while a plan is carried out."""

import hashlib
from collections.abc import Callable

import pytest

from meltemi.errors import CorruptionError, UnreachableError, VanishedError
from meltemi.model.image import Hashes
from meltemi.replication.report import Result
from tests.replication.running import BLOCK, BROKEN, DATA, sync, synced
from tests.support.memory import EndedEarlyError, MemoryLibrary, full_hashes, old_hashes

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


@pytest.mark.parametrize("size", [1, BLOCK, BLOCK + 1, len(DATA)])
@pytest.mark.parametrize("record", [full_hashes, old_hashes])
@pytest.mark.parametrize("where", ["first", "last"])
async def test_the_last_block_waits_for_the_hash(
    target: MemoryLibrary, size: int, record: Callable[[bytes], Hashes], where: str
) -> None:
    source = MemoryLibrary("source", record=record, piece=7)
    data = bytearray(DATA[:size])
    image = source.put(bytes(data))
    data[0 if where == "first" else -1] ^= 1
    source.lies[image.id] = bytes(data)
    [outcome] = await sync(source, target)
    assert outcome.result is Result.FAILED
    assert isinstance(outcome.error, CorruptionError)
    assert target.images[image.id].status == "queued"
    assert target.taken[image.id] <= max(0, size - 1) // BLOCK * BLOCK
    del source.lies[image.id]
    await synced(source, target)
    assert target.data(image.id) == DATA[:size]


@pytest.mark.parametrize("surplus", [1, 6, BLOCK, 10 * BLOCK])
@pytest.mark.parametrize("wrong", [False, True])
async def test_more_data_than_recorded_never_becomes_an_image(
    source: MemoryLibrary, target: MemoryLibrary, surplus: int, wrong: bool
) -> None:
    source.piece = 1000
    image = source.put(DATA[:100])
    start = bytes(100) if wrong else DATA[:100]
    source.lies[image.id] = start + bytes(surplus)
    [outcome] = await sync(source, target)
    assert isinstance(outcome.error, CorruptionError)
    assert not target.images[image.id].has_data
    assert target.taken[image.id] < 100


async def test_less_data_than_recorded_never_becomes_an_image(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA)
    source.lies[image.id] = DATA[:-1]
    [outcome] = await sync(source, target)
    assert outcome.result is Result.FAILED
    assert target.images[image.id].status == "queued"


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "sha3_384", "shake_128", "unheard-of"])
async def test_whatever_hash_the_source_records(target: MemoryLibrary, algorithm: str) -> None:
    def record(data: bytes) -> Hashes:
        known = algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake")
        value = hashlib.new(algorithm, data).hexdigest() if known else "00"
        return Hashes(full_hashes(data).checksum, algorithm, value)

    source = MemoryLibrary("source", record=record)
    image = source.put(DATA)
    await synced(source, target)
    assert target.data(image.id) == DATA


@pytest.mark.parametrize("error", [BROKEN, UnreachableError("gone"), EndedEarlyError()])
@pytest.mark.parametrize("at", [0, 1, 100, len(DATA) - 1])
async def test_a_broken_reading_goes_on_where_it_stopped(
    source: MemoryLibrary, targets: list[MemoryLibrary], error: Exception, at: int
) -> None:
    image = source.put(DATA)
    source.fail("read", error, at=at)
    await synced(source, *targets)
    assert source.served[image.id] == len(DATA)
    assert source.count("read") == 2


async def test_a_reading_may_break_at_every_byte(
    source: MemoryLibrary, target: MemoryLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meltemi.replication.reading._PAUSE_SECONDS", 0)
    image = source.put(DATA)
    for at in range(1, len(DATA)):
        source.fail("read", BROKEN, at=at)
    await synced(source, target)
    assert source.served[image.id] == len(DATA)


async def test_a_source_that_breaks_at_one_place_for_ever_is_given_up(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA)
    broken = source.fail("read", BROKEN, at=100, times=1000)
    [outcome] = await sync(source, target)
    assert outcome.result is Result.FAILED
    assert target.images[image.id].status == "queued"
    assert source.count("read") < 10
    broken.times = 0
    await synced(source, target)


async def test_a_source_that_vanishes_midway(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    image = source.put(DATA)
    source.fail("read", VanishedError("gone"), at=100)
    outcomes = await sync(source, *targets)
    assert {type(outcome.error) for outcome in outcomes} == {VanishedError}
    for target in targets:
        assert target.images[image.id].status == "queued"
