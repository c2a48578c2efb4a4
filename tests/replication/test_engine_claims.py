"""Ids that are taken, and images that another replicator is sending."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import pytest

from meltemi.errors import QuotaError
from meltemi.model.plan import Standing
from meltemi.model.route import OnSourceDeletion
from meltemi.replication.claim import Claim
from meltemi.replication.report import Result
from tests.replication.running import (
    DATA,
    carry_out,
    plan,
    replicas,
    results,
    standings,
    sync,
    synced,
)
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


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
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("meltemi.replication.claim.this_holder", lambda: "another/1/process")
        found = await plan(source, target)
    assert standings(found) == {image.id: Standing.BUSY}
    assert found.differs
    slow.go.set()
    assert set(results(await first).values()) == {Result.DONE}
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
