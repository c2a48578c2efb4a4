"""What becomes of replicas whose source is gone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meltemi.model.image import Image
from meltemi.model.plan import Kind
from meltemi.model.route import OnSourceDeletion, Rules, Selection
from tests.replication.running import carry_out, kinds, plan, replicas, results, sync, synced
from tests.support.memory import MemoryLibrary

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRACE: dict[str, Any] = {"on_source_deletion": OnSourceDeletion.DELETE, "grace": timedelta(days=7)}


def lose_sight(source: MemoryLibrary, image: Image) -> None:
    """Take an image out of our sight, which looks as if it were deleted."""
    source.admin = False
    source.edit(image.id, owner="hidden from us")


def see_again(source: MemoryLibrary, image: Image) -> None:
    """Bring it back."""
    source.edit(image.id, owner="theirs")


@pytest.mark.parametrize("mapped", [False, True])
async def test_what_the_source_deleted(
    source: MemoryLibrary, target: MemoryLibrary, mapped: bool
) -> None:
    image, kept = source.put(b"1", name="1", protected=True), source.put(b"2", name="2")
    local = target.put(b"3", name="local")
    if mapped:
        target.burnt.update({image.id, kept.id})
    await synced(source, target)
    [replica] = replicas(source, target)[image.id]
    source.remove(image.id)
    assert (await plan(source, target)).actions == ()
    found = await plan(source, target, on_source_deletion=OnSourceDeletion.HIDE)
    assert kinds(found) == [Kind.HIDE]
    await synced(source, target, on_source_deletion=OnSourceDeletion.HIDE)
    assert target.images[replica.id].os_hidden
    await synced(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert replica.id not in target.images
    assert local.id in target.images
    assert len(target.images) == 2


async def test_what_the_targets_operator_protected_is_not_deleted(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put()
    await synced(source, target)
    target.edit(image.id, protected=True)
    source.remove(image.id)
    await sync(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert image.id in target.images


async def test_a_route_removes_only_what_it_has_written(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden")
    await sync(source, target, called="golden")
    await source.delete(image.id)
    gone = await plan(source, target, called="nightly", on_source_deletion=OnSourceDeletion.DELETE)
    assert not gone.actions
    [action] = (
        await plan(source, target, called="golden", on_source_deletion=OnSourceDeletion.DELETE)
    ).actions
    assert action.kind is Kind.DELETE


async def test_grace(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put()
    await synced(source, target)
    source.remove(image.id)
    first = await plan(source, target, now=NOW, **GRACE)
    assert kinds(first) == [Kind.UPDATE]
    await carry_out(first, source, target)
    for days, expected in ((0, []), (6, []), (7, [Kind.DELETE])):
        found = await plan(source, target, now=NOW + timedelta(days=days), **GRACE)
        assert kinds(found) == expected


async def test_grace_begins_anew_where_the_source_came_back(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put()
    await synced(source, target)
    lose_sight(source, image)
    await sync(source, target, now=NOW, **GRACE)
    see_again(source, image)
    await sync(source, target, now=NOW + timedelta(days=8), **GRACE)
    lose_sight(source, image)
    found = await plan(source, target, now=NOW + timedelta(days=9), **GRACE)
    assert kinds(found) == [Kind.UPDATE]


async def test_what_a_selection_no_longer_has_stays(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image, mapped = source.put(name="one"), source.put(name="two")
    target.burnt.add(mapped.id)
    await synced(source, target)
    found = await plan(
        source,
        target,
        selection=Selection(match=(Rules(names=("nothing",)),)),
        on_source_deletion=OnSourceDeletion.DELETE,
    )
    assert found.actions == ()
    assert image.id in target.images


async def test_a_hidden_replica_is_shown_again_when_its_source_is_back(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put()
    await synced(source, target)
    lose_sight(source, image)
    await sync(source, target, on_source_deletion=OnSourceDeletion.HIDE)
    assert target.images[image.id].os_hidden
    see_again(source, image)
    await synced(source, target, on_source_deletion=OnSourceDeletion.HIDE)
    assert not target.images[image.id].os_hidden


async def test_a_source_that_is_back_before_the_deletion_saves_its_replica(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put()
    await synced(source, target)
    lose_sight(source, image)
    found = await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    see_again(source, image)
    outcomes = await carry_out(found, source, target)
    assert set(results(outcomes).values()) == {"stale"}
    assert image.id in target.images
