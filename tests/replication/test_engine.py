"""Carrying plans out: one reading for many targets, and kernels before what boots with them."""

import asyncio
from collections.abc import Callable

import pytest

from meltemi.errors import ForbiddenError, ImageError, QuotaError, RefusedError
from meltemi.replication import fanout
from meltemi.replication.report import Result
from tests.replication.running import (
    BLOCK,
    DATA,
    Recorder,
    carry_out,
    own_properties,
    plan,
    replicas,
    results,
    sync,
    synced,
)
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


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
