"""Replicas whose data nobody has verified: no hash tells, so it is read before it is published."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from meltemi.errors import InterruptedTransfer
from meltemi.model.image import Hashes, Image
from meltemi.model.plan import Kind, Standing
from meltemi.model.provenance import read_provenance
from meltemi.replication.claim import Claim
from meltemi.replication.report import Result
from tests.replication.running import kinds, plan, results, standings, sync, synced
from tests.support.memory import MemoryLibrary, full_hashes, no_hashes, old_hashes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def multihash_only(data: bytes) -> Hashes:
    """Record no md5, as a target does where that is forbidden."""
    return Hashes(None, "sha512", full_hashes(data).value)


INCOMPARABLE = [(no_hashes, full_hashes), (no_hashes, no_hashes), (multihash_only, old_hashes)]
Record = Callable[[bytes], Hashes]


def wrong(data: bytes) -> bytes:
    return bytes(len(data))


@pytest.mark.parametrize(("at_source", "at_target"), INCOMPARABLE)
async def test_data_that_was_found_wrong_is_never_published(
    source: MemoryLibrary, target: MemoryLibrary, at_source: Record, at_target: Record
) -> None:
    source.record, target.record, target.stores = at_source, at_target, wrong
    image = source.put(b"real data", visibility="public")
    for _ in range(3):
        outcomes = await sync(source, target)
        assert results(outcomes) == {("target", image.id): Result.FAILED}
        assert "stored other data" in outcomes[0].detail
    assert {state.visibility for state in target.states[image.id]} == {"private"}


@pytest.mark.parametrize("stores", [bytes, wrong])
@pytest.mark.parametrize(("at_source", "at_target"), INCOMPARABLE)
async def test_what_ended_before_it_was_verified_is_verified_by_the_next_run(
    source: MemoryLibrary,
    target: MemoryLibrary,
    at_source: Record,
    at_target: Record,
    stores: Callable[[bytes], bytes],
) -> None:
    source.record, target.record, target.stores = at_source, at_target, stores
    image = source.put(b"real data", visibility="public")
    target.fail("show", InterruptedTransfer("gone"), times=9)
    await sync(source, target)
    assert target.images[image.id].status == "active"
    target.faults.clear()
    found = await plan(source, target)
    assert kinds(found) == [Kind.COPY]
    assert "not been verified" in found.actions[0].reason
    assert found.bytes == 0
    if stores is wrong:
        assert results(await sync(source, target)) == {("target", image.id): Result.FAILED}
        assert target.images[image.id].visibility == "private"
        return
    await synced(source, target)
    assert target.images[image.id].visibility == "public"
    assert target.count("upload") == 1


async def test_who_verifies_is_left_to_it(source: MemoryLibrary, target: MemoryLibrary) -> None:
    source.record = no_hashes
    image = source.put(b"data")
    await synced(source, target)
    claim = Claim("another host/1/mark", NOW + timedelta(seconds=30))
    claimed(target, target.images[image.id], claim)
    assert standings(await plan(source, target, now=NOW)) == {image.id: Standing.BUSY}
    later = await plan(source, target, now=NOW + timedelta(minutes=1))
    assert kinds(later) == [Kind.COPY]


async def test_only_metadata_verifies_nothing_and_publishes_nothing(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    source.record = no_hashes
    image = source.put(b"data", visibility="public")
    target.fail("show", InterruptedTransfer("gone"), times=9)
    await sync(source, target)
    target.faults.clear()
    await sync(source, target, metadata_only=True)
    assert target.images[image.id].visibility == "private"


def claimed(target: MemoryLibrary, replica: Image, claim: Claim) -> None:
    """Let another replicator have claimed a replica, and have read nothing yet."""
    origin = read_provenance(replica)
    assert origin is not None
    marks = {
        **origin.properties(replica.id),
        "meltemi_replicated_at": str(claim),
        "meltemi_source_hash": "computed:pending",
    }
    target.edit(replica.id, properties={**replica.properties, **marks})
