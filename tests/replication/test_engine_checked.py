"""Saved plans: what changed since they were made is left alone."""

from typing import Any

import pytest

from meltemi.errors import QuotaError
from meltemi.model.route import OnSourceDeletion
from meltemi.replication.report import Result
from tests.replication.running import DATA, carry_out, plan, results, sync, synced
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


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
