"""Carrying plans out: one reading for many targets, faults of all kinds, removals at the end."""

import asyncio
import hashlib
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from meltemi.errors import (
    AuthenticationError,
    CorruptionError,
    ForbiddenError,
    GuardError,
    ImageError,
    InterruptedTransfer,
    MeltemiError,
    QuotaError,
    RefusedError,
    StalePlanError,
    UnreachableError,
    VanishedError,
)
from meltemi.model.image import Hashes
from meltemi.model.plan import Kind, Standing
from meltemi.model.provenance import read_provenance
from meltemi.model.route import OnConflict, OnSourceDeletion
from meltemi.replication import fanout
from meltemi.replication.claim import Claim
from meltemi.replication.report import Result
from tests.replication.running import (
    BLOCK,
    Recorder,
    carry_out,
    own_properties,
    plan,
    replicas,
    results,
    standings,
    sync,
    synced,
)
from tests.support.memory import EndedEarlyError, MemoryLibrary, full_hashes, no_hashes, old_hashes

pytestmark = pytest.mark.timeout(20)  # what hangs is to fail

DATA = Random(2).randbytes(40 * BLOCK + 5)
BROKEN = InterruptedTransfer("the connection broke")


@pytest.fixture
def source() -> MemoryLibrary:
    return MemoryLibrary("source", project="theirs", piece=7)


@pytest.fixture
def target() -> MemoryLibrary:
    return MemoryLibrary("target", project="ours")


@pytest.fixture
def targets() -> list[MemoryLibrary]:
    return [MemoryLibrary(f"target{number}") for number in range(3)]


@pytest.fixture
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "WINDOW", 4 * BLOCK)


async def until(condition: Callable[[], bool]) -> None:
    """Let others work until something is so."""
    while not condition():  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0)


def complete(library: MemoryLibrary, image_id: str) -> bool:
    """Say whether an image is there with its data."""
    return image_id in library.images and library.images[image_id].has_data


def assert_never_shown_early(library: MemoryLibrary, image_id: str) -> None:
    """See that an image was private and bare until its data was there, and never lost it."""
    states = library.states[image_id]
    first = next((n for n, image in enumerate(states) if image.has_data), len(states))
    for image in states[:first]:
        assert (image.visibility, image.protected, image.os_hidden) == ("private", False, False)
    for image in states[first:]:
        assert image.has_data


# One reading for all


async def test_the_source_is_read_once_for_all_targets(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    images = [source.put(DATA[: n * 50]) for n in range(5)]
    recorder = Recorder()
    await carry_out(await plan(source, *targets), source, *targets, reporter=recorder)
    for image in images:
        assert source.served[image.id] == image.size
        for target in targets:
            assert target.data(image.id) == source.data(image.id)
            assert recorder.bytes[target.name, image.id] == image.size


@pytest.mark.usefixtures("_narrow")
@pytest.mark.parametrize("at", [0, 1, BLOCK, 9 * BLOCK])
async def test_a_slow_target_holds_up_nobody_and_reads_on_by_itself(
    source: MemoryLibrary, targets: list[MemoryLibrary], at: int
) -> None:
    image = source.put(DATA)
    slow = targets[1].hold("upload", at=at)
    run = asyncio.create_task(sync(source, *targets))
    await slow.reached.wait()
    await until(lambda: all(complete(targets[n], image.id) for n in (0, 2)))
    assert source.served[image.id] == len(DATA)
    slow.go.set()
    assert set(results(await run).values()) == {Result.DONE}
    assert targets[1].data(image.id) == DATA
    assert source.served[image.id] <= 2 * len(DATA) - at // BLOCK * BLOCK
    assert source.served[image.id] > len(DATA)


@pytest.mark.usefixtures("_narrow")
async def test_a_target_that_begins_late_reads_by_itself(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    image = source.put(DATA)
    slow = targets[0].hold("create")
    run = asyncio.create_task(sync(source, *targets))
    await slow.reached.wait()
    await until(lambda: complete(targets[2], image.id))
    slow.go.set()
    assert set(results(await run).values()) == {Result.DONE}
    assert targets[0].data(image.id) == DATA


async def test_a_slow_target_delays_no_image_at_others(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    for number in range(6):
        source.put(DATA[: 10 + number])
    slow = targets[0].hold("upload")
    the_plan = await plan(source, *targets[:2])
    run = asyncio.create_task(carry_out(the_plan, source, *targets[:2], transfers=1))
    await until(lambda: sum(image.has_data for image in targets[1].images.values()) == 6)
    assert not any(image.has_data for image in targets[0].images.values())
    slow.go.set()
    assert set(results(await run).values()) == {Result.DONE}


@pytest.mark.parametrize("at", [None, 0, 100, len(DATA)])
@pytest.mark.parametrize("error", [QuotaError("full"), RefusedError("no"), ForbiddenError("no")])
async def test_a_failing_target_stops_no_other(
    source: MemoryLibrary, targets: list[MemoryLibrary], at: int | None, error: ImageError
) -> None:
    image = source.put(DATA)
    targets[1].fail("upload", error, at=at)
    outcomes = await sync(source, *targets)
    assert results(outcomes) == {
        ("target0", image.id): Result.DONE,
        ("target1", image.id): Result.FAILED,
        ("target2", image.id): Result.DONE,
    }
    assert source.served[image.id] == len(DATA)
    assert targets[1].images[image.id].status == "queued"
    assert targets[1].count("delete") == 0
    await synced(source, *targets)
    assert targets[1].data(image.id) == DATA


async def test_the_smallest_come_first(source: MemoryLibrary, target: MemoryLibrary) -> None:
    sizes = [300, 5, 0, 77, 300, 1]
    for size in sizes:
        source.put(DATA[:size])
    recorder = Recorder()
    the_plan = await plan(source, target)
    await carry_out(the_plan, source, target, reporter=recorder, transfers=1)
    assert [source.images[i].size for _, i in recorder.order] == sorted(sizes)


@pytest.mark.parametrize("transfers", [1, 3])
async def test_no_more_transfers_than_allowed(
    source: MemoryLibrary, target: MemoryLibrary, transfers: int
) -> None:
    for _ in range(8):
        source.put(DATA[:50])
    most = 0

    class Watching(Recorder):
        def moved(self, action: object, count: int) -> None:  # noqa: ARG002
            nonlocal most
            most = max(most, sum(i.status == "saving" for i in target.images.values()))

    await carry_out(
        await plan(source, target), source, target, reporter=Watching(), transfers=transfers
    )
    assert most == transfers


# Kernels and ramdisks


async def test_kernels_come_first_and_their_new_ids_are_written(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    kernel, ramdisk = source.put(DATA), source.put(DATA[:500])
    image = source.put(b"x", properties={"kernel_id": kernel.id, "ramdisk_id": ramdisk.id})
    targets[0].burnt.add(kernel.id)
    await synced(source, *targets)
    [there] = replicas(source, targets[0])[kernel.id]
    assert own_properties(targets[0].images[image.id]) == {
        "kernel_id": there.id,
        "ramdisk_id": ramdisk.id,
    }
    for other in targets[1:]:
        assert own_properties(other.images[image.id]) == own_properties(image)
    order = [i for kind, i in targets[1].requests if kind == "create"]
    assert set(order[:2]) == {kernel.id, ramdisk.id}


async def test_an_image_whose_kernel_fails_is_not_copied(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel")
    image = source.put(b"image", properties={"kernel_id": kernel.id})
    target.fail("upload", QuotaError("full"), image_id=kernel.id)
    assert results(await sync(source, target)) == {
        ("target", kernel.id): Result.FAILED,
        ("target", image.id): Result.FAILED,
    }
    await synced(source, target)


@pytest.mark.parametrize("transfers", [1, 2])
async def test_images_that_name_each_other_or_themselves_do_not_hang(
    source: MemoryLibrary, target: MemoryLibrary, transfers: int
) -> None:
    one, two, own, chain = (source.put(name=name) for name in ("1", "2", "own", "chain"))
    source.edit(one.id, properties={"kernel_id": two.id})
    source.edit(two.id, properties={"kernel_id": one.id})
    source.edit(own.id, properties={"kernel_id": own.id, "ramdisk_id": own.id})
    source.edit(chain.id, properties={"kernel_id": own.id})
    outcomes = await carry_out(await plan(source, target), source, target, transfers=transfers)
    assert set(results(outcomes).values()) == {Result.DONE}
    assert len(outcomes) == 4


@pytest.mark.parametrize("names", [["k1", "k2"], ["k2", "k1"]])
async def test_slots_are_not_taken_by_what_waits_for_a_slot(
    source: MemoryLibrary, targets: list[MemoryLibrary], names: list[str]
) -> None:
    one, two = targets[:2]
    kernels = [source.put(DATA[: 9 + n], name=name) for n, name in enumerate(names)]
    await synced(source, two)
    for kernel in kernels:
        for number in range(2):
            source.put(b"i", name=f"{kernel.id}{number}", properties={"kernel_id": kernel.id})
    the_plan = await plan(source, one, two)
    outcomes = await carry_out(the_plan, source, one, two, transfers=1)
    assert set(results(outcomes).values()) == {Result.DONE}
    await synced(source, one, two)


# A source that lies, breaks, vanishes


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


# A target that fails


@pytest.mark.parametrize("at", [None, 0, 1, 333, len(DATA)])
async def test_a_broken_upload_is_tried_again(
    source: MemoryLibrary, target: MemoryLibrary, at: int | None
) -> None:
    image = source.put(DATA, visibility="public", protected=True)
    target.fail("upload", BROKEN, at=at)
    recorder = Recorder()
    await carry_out(await plan(source, target), source, target, reporter=recorder)
    assert target.data(image.id) == DATA
    assert recorder.bytes["target", image.id] == len(DATA)
    assert_never_shown_early(target, image.id)


@pytest.mark.parametrize("request_", ["create", "upload", "update"])
async def test_a_lost_answer_makes_no_second_image(
    source: MemoryLibrary, target: MemoryLibrary, request_: str
) -> None:
    image = source.put(DATA, visibility="public", protected=True, os_hidden=True)
    target.fail(request_, BROKEN, after=True)
    await synced(source, target)
    assert list(target.images) == [image.id]
    there = target.images[image.id]
    assert (there.visibility, there.protected, there.os_hidden) == ("public", True, True)
    assert_never_shown_early(target, image.id)


async def test_a_lost_answer_to_another_id_makes_no_second_image(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA)
    target.burnt.add(image.id)
    target.fail("create", BROKEN, after=True)
    await synced(source, target)
    assert len(target.images) == 1


@pytest.mark.parametrize(
    "attributes",
    [
        {"visibility": "public"},
        {"visibility": "shared"},
        {"visibility": "community", "protected": True},
        {"os_hidden": True},
        {"status": "deactivated"},
        {"status": "deactivated", "visibility": "public", "protected": True, "os_hidden": True},
    ],
)
@pytest.mark.parametrize("record", [full_hashes, old_hashes, no_hashes])
@pytest.mark.parametrize("request_", ["show", "update", "add_member"])
async def test_what_broke_off_between_data_and_publishing_is_published_by_the_next_run(
    target: MemoryLibrary,
    attributes: dict[str, object],
    record: Callable[[bytes], Hashes],
    request_: str,
) -> None:
    source = MemoryLibrary("source", record=record, project="theirs")
    image = source.put(DATA, **attributes)
    if image.visibility == "shared":
        source.share(image.id, friend="accepted")
    target.fail(request_, BROKEN, times=4)
    await sync(source, target, members=True)
    await synced(source, target, members=True)
    there = target.images[image.id]
    for name, value in attributes.items():
        assert getattr(there, name) == value
    assert target.members(image.id) == source.members(image.id)
    origin = read_provenance(there)
    assert origin is not None
    assert "pending" not in origin.source_hash
    assert_never_shown_early(target, image.id)


@pytest.mark.parametrize("burnt", [False, True])
async def test_what_changed_while_the_data_was_awaited_is_brought_up_to_date(
    source: MemoryLibrary, target: MemoryLibrary, burnt: bool
) -> None:
    image = source.put(
        DATA, name="old", tags=frozenset({"a", "b"}), properties={"p": "1", "q": "1", "r": "1"}
    )
    if burnt:
        target.burnt.add(image.id)
    target.fail("upload", QuotaError("full"))
    await sync(source, target)
    source.edit(
        image.id,
        name="new",
        tags=frozenset({"b", "c"}),
        properties={"p": "2", "q": "1", "n": "1"},
        min_disk=7,
        visibility="public",
    )
    await synced(source, target)
    [there] = replicas(source, target)[image.id]
    assert (there.name, there.min_disk) == ("new", 7)
    assert there.tags == {"b", "c"}
    assert own_properties(there) == {"p": "2", "q": "1", "n": "1"}
    assert there.visibility == "public"
    assert len(target.images) == 1


async def test_a_target_that_stores_other_data_keeps_it_private(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA, visibility="public")
    target.stores = lambda data: data[:-1] + b"?"
    [outcome] = await sync(source, target)
    assert isinstance(outcome.error, CorruptionError)
    assert {state.visibility for state in target.states[image.id]} == {"private"}
    found = await plan(source, target)
    assert standings(found) == {image.id: Standing.CONFLICT}


async def test_data_is_read_back_where_the_target_records_no_hash(source: MemoryLibrary) -> None:
    image = source.put(DATA, visibility="public")
    for stores, expected in ((bytes, Result.DONE), (lambda data: data[::-1], Result.FAILED)):
        target = MemoryLibrary("target", record=no_hashes)
        target.stores = stores
        [outcome] = await sync(source, target)
        assert outcome.result is expected
        assert target.served[image.id] == len(DATA)


async def test_a_target_that_fails_as_a_whole_is_not_asked_again(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    for _ in range(20):
        source.put(DATA[:20])
    down = AuthenticationError("target0: the token is no good", library="target0")
    targets[0].fail("create", down, times=100)
    the_plan = await plan(source, *targets)
    outcomes = await carry_out(the_plan, source, *targets, transfers=1)
    assert sum(outcome.error is down for outcome in outcomes) == 20
    assert sum(outcome.result is Result.DONE for outcome in outcomes) == 40
    assert targets[0].count("create") == 1


async def test_what_a_target_refuses_to_publish_stays_private_and_is_told_each_time(
    source: MemoryLibrary,
) -> None:
    target = MemoryLibrary("target", admin=False)
    image = source.put(DATA, visibility="public")
    for _ in range(2):
        [outcome] = await sync(source, target)
        assert isinstance(outcome.error, ForbiddenError)
        assert target.images[image.id].visibility == "private"
    assert target.count("upload") == 1
    await synced(source, target, visibility="private")


# Ids


async def test_a_burnt_id_is_mapped_for_good(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(DATA, name="one")
    target.burnt.add(image.id)
    [outcome] = await sync(source, target)
    assert outcome.target_id != image.id
    assert outcome.target_id in outcome.detail
    source.edit(image.id, name="two")
    await synced(source, target)
    assert {i.name for i in target.images.values()} == {"two"}


async def test_an_id_that_is_taken_unseen_is_mapped(source: MemoryLibrary) -> None:
    target = MemoryLibrary("target", admin=False)
    image = source.put(DATA)
    hidden = target.put(b"private", id=image.id, owner="somebody")
    await synced(source, target)
    assert target.images[image.id] == hidden
    [replica] = replicas(source, target)[image.id]
    assert target.data(replica.id) == DATA


async def test_an_image_that_appeared_meanwhile_is_left_alone(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA)
    the_plan = await plan(source, target)
    other = target.put(b"theirs", id=image.id)
    [outcome] = await carry_out(the_plan, source, target)
    assert outcome.result is Result.SKIPPED
    assert target.images == {image.id: other}


# Two replicators


async def test_a_second_replicator_keeps_away(
    source: MemoryLibrary, target: MemoryLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = source.put(DATA)
    slow = target.hold("upload", at=100)
    first = asyncio.create_task(sync(source, target))
    await slow.reached.wait()
    assert target.images[image.id].status == "saving"
    found = await plan(source, target)
    assert standings(found) == {image.id: Standing.BUSY}
    assert found.differs
    slow.go.set()
    assert set(results(await first).values()) == {Result.DONE}
    monkeypatch.undo()
    assert (await plan(source, target)).actions == ()


async def test_a_claim_that_expired_is_taken_over(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA)
    target.fail("upload", QuotaError("full"))
    await sync(source, target)
    mark = target.images[image.id].properties
    for seconds, standing in ((30, Standing.BUSY), (-1, None)):
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        claim = str(Claim("elsewhere/1", until))
        target.edit(image.id, properties={**mark, "meltemi_replicated_at": claim})
        found = await plan(source, target)
        assert standings(found).get(image.id) == standing
    await synced(source, target)


@pytest.mark.parametrize(
    ("attributes", "updates"),
    [
        ({"visibility": "private"}, 0),
        ({"visibility": "public"}, 1),
        ({"visibility": "private", "protected": True}, 1),
        ({"visibility": "private", "os_hidden": True}, 1),
    ],
)
async def test_an_image_is_updated_only_where_something_is_left_to_publish(
    source: MemoryLibrary, target: MemoryLibrary, attributes: dict[str, str | bool], updates: int
) -> None:
    source.put(DATA, **attributes)
    await synced(source, target)
    assert [request for request, _ in target.requests].count("update") == updates


async def test_a_claim_that_stays_vouches_for_no_other_data(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA, visibility="private")
    target.stores = bytes.swapcase
    assert set(results(await sync(source, target)).values()) == {Result.FAILED}
    claim = Claim.parse(target.images[image.id].properties["meltemi_replicated_at"])
    assert claim is not None
    assert claim.stays
    assert standings(await plan(source, target)) == {image.id: Standing.CONFLICT}


@pytest.mark.parametrize("policy", list(OnSourceDeletion))
async def test_an_image_stuck_in_saving_does_not_breed_copies(
    source: MemoryLibrary,
    target: MemoryLibrary,
    monkeypatch: pytest.MonkeyPatch,
    policy: OnSourceDeletion,
) -> None:
    async def at_once(_: float) -> None:
        pass

    monkeypatch.setattr(asyncio, "sleep", at_once)
    image = source.put(DATA)
    target.fail("upload", QuotaError("full"))
    await sync(source, target)
    stuck = target.edit(image.id, status="saving")
    mark = str(Claim(f"{socket.gethostname()}/999999999", datetime.now(UTC)))
    target.edit(image.id, properties={**stuck.properties, "meltemi_replicated_at": mark})
    for _ in range(3):
        await sync(source, target, on_source_deletion=policy)
    with_data = [i for i in target.images.values() if i.has_data]
    assert [target.data(i.id) for i in with_data] == [DATA]
    again = await plan(source, target, on_source_deletion=policy)
    assert again.actions == ()


# Removals


async def test_nothing_is_removed_beyond_the_guard(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    images = [source.put(name=str(n)) for n in range(4)]
    await synced(source, target)
    for image in images[:3]:
        source.remove(image.id)
    source.put(DATA, name="new")
    outcomes = await sync(source, target, on_source_deletion=OnSourceDeletion.DELETE, max_delete=2)
    assert [type(o.error) for o in outcomes if o.action.kind is Kind.DELETE] == [GuardError] * 3
    assert len(target.images) == 5
    await sync(source, target, on_source_deletion=OnSourceDeletion.DELETE, max_delete=3)
    assert len(target.images) == 2


@pytest.mark.parametrize("error", [QuotaError("full"), StalePlanError("changed")])
async def test_nothing_is_removed_after_errors(
    source: MemoryLibrary, target: MemoryLibrary, error: MeltemiError
) -> None:
    gone = source.put(name="gone")
    await synced(source, target)
    source.remove(gone.id)
    source.put(DATA, name="new")
    target.fail("upload", error)
    outcomes = await sync(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert sorted(outcome.result for outcome in outcomes) in (
        [Result.FAILED, Result.SKIPPED],
        [Result.SKIPPED, Result.STALE],
    )
    assert gone.id in target.images


async def test_nothing_is_removed_where_a_target_could_not_be_read(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    gone = source.put(name="gone")
    await synced(source, *targets)
    source.remove(gone.id)
    targets[0].fail("list", UnreachableError("target0: no answer", library="target0"))
    await sync(source, *targets, on_source_deletion=OnSourceDeletion.DELETE)
    assert all(gone.id in target.images for target in targets)


async def test_removals_come_last(source: MemoryLibrary, target: MemoryLibrary) -> None:
    gone, kept = source.put(name="gone"), source.put(name="kept")
    await synced(source, target)
    source.remove(gone.id)
    source.edit(kept.id, name="renamed")
    source.put(DATA, name="new")
    target.requests.clear()
    await sync(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert target.requests[-1] == ("delete", gone.id)


async def test_a_protected_replica_of_ours_is_deleted(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(protected=True)
    await synced(source, target)
    source.edit(image.id, protected=False)
    source.remove(image.id)
    await synced(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert target.images == {}


# Saved plans


async def test_a_checked_plan_is_carried_out_where_nothing_changed(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    changed, gone, half = (source.put(DATA, name=name) for name in ("changed", "gone", "half"))
    target.fail("upload", QuotaError("full"), image_id=half.id)
    await sync(source, target)
    source.edit(changed.id, name="other", visibility="shared")
    source.share(changed.id, friend="pending")
    source.remove(gone.id)
    source.put(DATA, name="new")
    options: dict[str, Any] = {"members": True, "on_source_deletion": OnSourceDeletion.DELETE}
    the_plan = await plan(source, target, **options)
    assert len(the_plan.actions) == 4
    outcomes = await carry_out(the_plan, source, target, checked=True)
    assert set(results(outcomes).values()) == {Result.DONE}
    assert (await plan(source, target, **options)).actions == ()


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(
    "change",
    [
        {"name": "x"},
        {"tags": frozenset({"x"})},
        {"properties": {"x": "1"}},
        {"properties": {"hash": "1", "formats": "x", "members": "y"}},
        {"visibility": "public"},
        {"min_ram": 1},
        {"owner": "somebody"},
        {"status": "deactivated"},
    ],
)
async def test_a_checked_plan_leaves_what_changed(
    source: MemoryLibrary, target: MemoryLibrary, side: str, change: dict[str, object]
) -> None:
    image, other = source.put(DATA, name="one"), source.put(DATA, name="other")
    await synced(source, target)
    for each in (image, other):
        source.edit(each.id, min_disk=5)
    the_plan = await plan(source, target)
    library = source if side == "source" else target
    library.edit(image.id, **change)
    before = target.images[image.id]
    outcomes = await carry_out(the_plan, source, target, checked=True)
    assert results(outcomes) == {
        ("target", image.id): Result.STALE,
        ("target", other.id): Result.DONE,
    }
    assert target.images[image.id] == before


async def test_a_checked_plan_sees_members_change(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA, visibility="shared")
    await synced(source, target, members=True)
    source.share(image.id, friend="pending")
    the_plan = await plan(source, target, members=True)
    target.share(image.id, other="pending")
    [outcome] = await carry_out(the_plan, source, target, checked=True)
    assert outcome.result is Result.STALE
    assert target.members(image.id) == {"other": "pending"}


async def test_a_checked_copy_leaves_what_appeared_or_vanished(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    there, gone = source.put(DATA, name="1"), source.put(DATA, name="2")
    the_plan = await plan(source, target)
    target.put(b"", id=there.id)
    source.remove(gone.id)
    outcomes = await carry_out(the_plan, source, target, checked=True)
    assert set(results(outcomes).values()) == {Result.STALE}
    assert list(target.images) == [there.id]
    assert target.count("create") == 0


# Replacing


async def test_a_storage_that_was_broken_for_a_while_leaves_no_chain_of_copies(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA, name="golden")
    target.stores = lambda data: data[::-1]
    for _ in range(3):
        await sync(source, target, on_conflict=OnConflict.REPLACE)
    target.stores = bytes
    for _ in range(3):
        await sync(source, target, on_conflict=OnConflict.REPLACE)
    count = len(target.images)
    again = await plan(source, target, on_conflict=OnConflict.REPLACE)
    assert again.actions == ()
    assert count == len(target.images)
    good = [i for i in target.images.values() if target.data(i.id) == DATA and not i.os_hidden]
    assert len(good) == 1
    assert good[0].name == image.name
