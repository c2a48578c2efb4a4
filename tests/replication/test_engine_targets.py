"""Targets that fail while a plan is carried out: at every step, for a while, for good."""

from collections.abc import Callable

import pytest

from meltemi.errors import AuthenticationError, CorruptionError, ForbiddenError, QuotaError
from meltemi.model.image import Hashes
from meltemi.model.plan import Standing
from meltemi.model.provenance import read_provenance
from meltemi.model.route import OnConflict
from meltemi.replication.report import Result
from tests.replication.running import (
    BROKEN,
    DATA,
    Recorder,
    carry_out,
    own_properties,
    plan,
    replicas,
    standings,
    sync,
    synced,
)
from tests.support.memory import MemoryLibrary, full_hashes, no_hashes, old_hashes

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


def assert_never_shown_early(library: MemoryLibrary, image_id: str) -> None:
    """See that an image was private and bare until its data was there, and never lost it."""
    states = library.states[image_id]
    first = next((n for n, image in enumerate(states) if image.has_data), len(states))
    for image in states[:first]:
        assert (image.visibility, image.protected, image.os_hidden) == ("private", False, False)
    for image in states[first:]:
        assert image.has_data


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
