"""Images that are not ours are never filled, published or marked, whatever id they carry."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from meltemi.errors import InterruptedTransfer
from meltemi.model.image import Image
from meltemi.model.provenance import Provenance, Written, read_provenance
from meltemi.replication.ownership import own_mark
from meltemi.replication.report import Result
from tests.replication.running import DATA, carry_out, plan, sync, synced
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail

LOST = InterruptedTransfer("503")


def mark(source: MemoryLibrary, image_id: str, of: str) -> dict[str, str]:
    """Write a mark as anybody can."""
    origin = Provenance(source.identity, of, "computed:pending", Written(), at="2024")
    return origin.properties(image_id)


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize(
    ("owner", "marked"), [("hostile", False), ("hostile", True), ("ours", False)]
)
async def test_what_somebody_registered_first_is_not_filled(
    source: MemoryLibrary, target: MemoryLibrary, owner: str, *, marked: bool, checked: bool
) -> None:
    """Our request to register was lost; somebody else's came through."""
    image = source.put(DATA, name="private")
    the_plan = await plan(source, target)
    lost = target.hold("create", error=LOST)
    run = asyncio.create_task(carry_out(the_plan, source, target, checked=checked))
    await lost.reached.wait()
    properties = mark(source, image.id, image.id) if marked else {}
    target.put(None, id=image.id, owner=owner, name="mine", properties=properties)
    lost.go.set()
    [outcome] = await run
    assert outcome.result is (Result.STALE if checked else Result.SKIPPED), outcome.detail
    assert target.data(image.id) is None
    found = target.images[image.id]
    assert (found.status, found.name, found.owner) == ("queued", "mine", owner)
    assert dict(found.properties) == properties
    assert target.count("upload") == 0


@pytest.mark.parametrize("owner", ["hostile", "ours"])
async def test_what_has_the_same_data_but_is_not_ours_is_not_published(
    source: MemoryLibrary, target: MemoryLibrary, owner: str
) -> None:
    image = source.put(DATA, visibility="public")
    the_plan = await plan(source, target)
    squatter = target.put(DATA, id=image.id, owner=owner, properties={"os_distro": "evil"})
    target.fail("create", LOST)
    [outcome] = await carry_out(the_plan, source, target)
    assert outcome.result is Result.SKIPPED
    assert target.images[image.id] == squatter


async def test_our_own_image_is_filled_though_the_answer_to_its_making_was_lost(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA, visibility="public")
    target.fail("create", LOST, after=True)
    await synced(source, target)
    assert target.data(image.id) == DATA
    assert target.images[image.id].visibility == "public"


@pytest.mark.parametrize("change", [{"owner": "hostile"}, {"properties": {}}])
async def test_what_became_somebody_elses_meanwhile_is_not_published(
    source: MemoryLibrary, target: MemoryLibrary, change: dict[str, Any]
) -> None:
    image = source.put(DATA, visibility="public")
    sent = target.hold("upload", after=True)
    run = asyncio.create_task(sync(source, target))
    await sent.reached.wait()
    target.edit(image.id, **change)
    sent.go.set()
    [outcome] = await run
    assert outcome.result is Result.FAILED
    assert target.images[image.id].visibility == "private"
    assert target.count("update") == 0


async def test_a_replica_that_another_project_took_over_is_not_filled(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    """It waited for its data when the plan was made."""
    image = source.put(DATA)
    target.fail("upload", InterruptedTransfer("broken"), times=100)
    await carry_out(await plan(source, target), source, target)
    target.faults.clear()
    the_plan = await plan(source, target)
    assert the_plan.actions[0].filling
    target.edit(image.id, owner="hostile")
    [outcome] = await carry_out(the_plan, source, target)
    assert outcome.result is Result.SKIPPED
    assert target.data(image.id) is None


def test_a_mark_counts_only_with_its_owner_and_its_source(source: MemoryLibrary) -> None:
    bare = Image("1", owner="ours")
    image = replace(bare, properties=mark(source, "1", "a"))
    assert read_provenance(image) is not None
    assert own_mark(image, owner="ours", source_id="a") == read_provenance(image)
    assert own_mark(image, owner="theirs", source_id="a") is None
    assert own_mark(image, owner=None, source_id="a") is None
    assert own_mark(image, owner="ours", source_id="b") is None
    assert own_mark(bare, owner="ours", source_id="a") is None
    assert own_mark(replace(image, id="2"), owner="ours", source_id="a") is None
