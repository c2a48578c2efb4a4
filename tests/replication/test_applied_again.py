"""A saved plan makes what it names, once, however often it is carried out."""

import asyncio
import socket
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest

from meltemi.errors import QuotaError
from meltemi.model.image import state_digest
from meltemi.model.plan import Kind
from meltemi.model.route import OnConflict
from meltemi.replication.claim import Claim
from meltemi.replication.report import Result
from tests.replication.running import DATA, carry_out, plan, replicas, sync, synced
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail

OTHERWISE = [OnConflict.RENAME, OnConflict.REPLACE]


@pytest.mark.parametrize("policy", OTHERWISE)
async def test_a_plan_names_the_new_id(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnConflict
) -> None:
    image = source.put(DATA)
    target.put(b"theirs", id=image.id)
    the_plan = await plan(source, target, on_conflict=policy)
    [copy] = [action for action in the_plan.actions if action.kind is Kind.COPY]
    assert UUID(copy.target_id) != UUID(image.id)
    assert copy.target_state == state_digest(None)
    outcomes = await carry_out(the_plan, source, target, checked=True)
    assert outcomes[0].target_id == copy.target_id
    assert outcomes[0].detail == f"under the id {copy.target_id}"
    assert [replica.id for replica in replicas(source, target)[image.id]] == [copy.target_id]


@pytest.mark.parametrize("policy", OTHERWISE)
async def test_a_plan_that_was_carried_out_is_stale(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnConflict
) -> None:
    image = source.put(DATA)
    target.put(b"theirs", id=image.id)
    the_plan = await plan(source, target, on_conflict=policy)
    await carry_out(the_plan, source, target, checked=True)
    before = target.images
    for _ in range(2):
        outcomes = await carry_out(the_plan, source, target, checked=True)
        assert outcomes[0].result is Result.STALE
    assert target.images == before
    await synced(source, target, on_conflict=policy)
    assert len(replicas(source, target)[image.id]) == 1


async def test_runs_of_a_plan_that_were_killed_leave_one_image(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA)
    target.put(b"theirs", id=image.id)
    the_plan = await plan(source, target, on_conflict=OnConflict.RENAME)
    for _ in range(2):
        sending = target.hold("upload", at=100)
        run = asyncio.create_task(carry_out(the_plan, source, target, checked=True))
        await asyncio.wait(
            [run, asyncio.create_task(sending.reached.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
        target.faults.clear()
    [outcome] = await carry_out(the_plan, source, target, checked=True)
    assert outcome.result is Result.STALE
    assert len(target.images) == 2
    await synced(source, target, on_conflict=OnConflict.RENAME)
    [replica] = replicas(source, target)[image.id]
    assert target.data(replica.id) == DATA
    assert len(target.images) == 2


async def test_an_id_that_cannot_be_used_makes_a_saved_plan_stale(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    """It was looked at by somebody who expects that id."""
    image = source.put(DATA)
    the_plan = await plan(source, target)
    target.burnt.add(image.id)
    for _ in range(2):
        [outcome] = await carry_out(the_plan, source, target, checked=True)
        assert outcome.result is Result.STALE
        assert "sync" in outcome.detail
    assert target.images == {}
    await synced(source, target)


async def test_an_image_that_appears_just_before_it_is_made_makes_a_saved_plan_stale(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(DATA)
    making = target.hold("create")
    run = asyncio.create_task(carry_out(await plan(source, target), source, target, checked=True))
    await making.reached.wait()
    other = target.put(b"theirs", id=image.id)
    making.go.set()
    [outcome] = await run
    assert outcome.result is Result.STALE
    assert target.images == {image.id: other}


async def test_an_image_that_nobody_sends_any_more_makes_a_saved_plan_stale(
    source: MemoryLibrary, target: MemoryLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_: float) -> None:
        pass

    monkeypatch.setattr(asyncio, "sleep", at_once)
    image = source.put(DATA)
    target.fail("upload", QuotaError("full"))
    await sync(source, target)
    mark = str(Claim(f"{socket.gethostname()}/999999999", datetime.now(UTC)))
    properties = {**target.images[image.id].properties, "meltemi_replicated_at": mark}
    target.edit(image.id, status="saving", properties=properties)
    the_plan = await plan(source, target)
    [outcome] = await carry_out(the_plan, source, target, checked=True)
    assert outcome.result is Result.STALE
    assert list(target.images) == [image.id]
