"""Just before a replica is removed, both images are looked at once more, whatever was planned."""

from typing import Any

import pytest

from meltemi.errors import StalePlanError
from meltemi.model.plan import Kind, Plan
from meltemi.model.route import OnConflict, OnSourceDeletion
from meltemi.replication.report import Result
from tests.replication.running import carry_out, kinds, plan, results, synced
from tests.support.memory import MemoryLibrary

REMOVALS = [OnSourceDeletion.HIDE, OnSourceDeletion.DELETE]


@pytest.fixture
def source() -> MemoryLibrary:
    return MemoryLibrary("source")


@pytest.fixture
def target() -> MemoryLibrary:
    return MemoryLibrary("target")


async def with_one_gone(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnSourceDeletion
) -> tuple[Plan, str]:
    """Plan the removal of a replica whose source is gone."""
    image = source.put(b"golden", name="golden")
    await synced(source, target)
    source.remove(image.id)
    the_plan = await plan(source, target, on_source_deletion=policy)
    assert kinds(the_plan) == [Kind(policy)]
    return the_plan, image.id


@pytest.mark.parametrize("policy", REMOVALS)
@pytest.mark.parametrize(
    "change",
    [
        {"name": "in use"},
        {"tags": frozenset({"keep"})},
        {"protected": True},
        {"visibility": "public"},
        {"os_hidden": True},
        {"status": "deactivated"},
        {"owner": "somebody"},
        {"properties": {}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_replica_that_its_operator_changed_meanwhile_stays(
    source: MemoryLibrary,
    target: MemoryLibrary,
    policy: OnSourceDeletion,
    change: dict[str, Any],
) -> None:
    the_plan, image = await with_one_gone(source, target, policy)
    changed = target.edit(image, **change)
    [outcome] = await carry_out(the_plan, source, target)
    assert outcome.result is Result.STALE
    assert isinstance(outcome.error, StalePlanError)
    assert target.images == {image: changed}
    assert target.count("delete") == target.count("update") == 0


@pytest.mark.parametrize("policy", REMOVALS)
async def test_a_source_that_came_back_keeps_its_replica(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnSourceDeletion
) -> None:
    """As one that its reader may see again."""
    the_plan, image = await with_one_gone(source, target, policy)
    before = target.images[image]
    source.put(b"golden", id=image, name="golden")
    [outcome] = await carry_out(the_plan, source, target)
    assert outcome.result is Result.STALE
    assert target.images == {image: before}
    assert (await plan(source, target, on_source_deletion=policy)).actions == ()


@pytest.mark.parametrize("policy", REMOVALS)
async def test_a_source_that_came_back_keeps_its_replica_under_another_id(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnSourceDeletion
) -> None:
    image = source.put(b"golden")
    target.burnt.add(image.id)
    await synced(source, target)
    source.remove(image.id)
    the_plan = await plan(source, target, on_source_deletion=policy)
    before = target.images
    source.put(b"golden", id=image.id)
    [outcome] = await carry_out(the_plan, source, target)
    assert outcome.result is Result.STALE
    assert target.images == before


async def test_what_is_as_it_was_planned_is_removed_beside_what_is_not(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    images = [source.put(name=str(number)) for number in range(2)]
    await synced(source, target)
    for image in images:
        source.remove(image.id)
    the_plan = await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    used, unused = (action.target_id for action in the_plan.actions)
    target.edit(used, name="in use")
    outcomes = await carry_out(the_plan, source, target)
    assert results(outcomes) == {
        ("target", used): Result.STALE,
        ("target", unused): Result.DONE,
    }
    assert list(target.images) == [used]


async def test_what_stood_in_the_way_is_hidden_only_as_it_was_when_that_was_planned(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"new", name="golden")
    old = target.put(b"old", name="golden")
    the_plan = await plan(source, target, on_conflict=OnConflict.REPLACE)
    assert kinds(the_plan) == [Kind.COPY, Kind.HIDE]
    target.edit(old.id, name="silver")
    outcomes = await carry_out(the_plan, source, target)
    assert [(o.action.kind, o.result) for o in outcomes] == [
        (Kind.COPY, Result.DONE),
        (Kind.HIDE, Result.STALE),
    ]
    assert target.data(image.id) == b"new"
    assert not target.images[old.id].os_hidden
