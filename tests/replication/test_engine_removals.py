"""Removals: the last thing of a run, and nothing after errors."""

import pytest

from meltemi.errors import GuardError, MeltemiError, QuotaError, StalePlanError, UnreachableError
from meltemi.model.plan import Kind
from meltemi.model.route import OnSourceDeletion
from meltemi.replication.report import Result
from tests.replication.running import DATA, sync, synced
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


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
