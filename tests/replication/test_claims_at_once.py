"""Two replicators at one image in the same moment: one fills it, the other keeps away."""

import asyncio
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

import pytest

from meltemi.errors import BusyError, QuotaError
from meltemi.model.plan import Kind
from meltemi.replication.claim import Claim
from meltemi.replication.report import Outcome, Result
from tests.replication.running import carry_out, kinds, plan, sync, synced
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail

HOLDER: ContextVar[str] = ContextVar("HOLDER")
DATA = b"golden" * 50


@pytest.fixture
def source() -> MemoryLibrary:
    return MemoryLibrary("source")


@pytest.fixture
def target() -> MemoryLibrary:
    return MemoryLibrary("target")


async def waiting(source: MemoryLibrary, target: MemoryLibrary) -> str:
    """Leave an image that waits for its data under a claim that has ended."""
    image = source.put(DATA)
    target.fail("upload", QuotaError("full"))
    await sync(source, target)
    ended = Claim("elsewhere/1/0badc0de", datetime.now(UTC) - timedelta(seconds=1))
    claimed(target, image.id, ended)
    target.requests.clear()
    return image.id


def claimed(target: MemoryLibrary, image_id: str, claim: Claim) -> None:
    """Write a claim as another replicator would."""
    mark = target.images[image_id].properties
    target.edit(image_id, properties={**mark, "meltemi_replicated_at": str(claim)})


def assert_kept_away(outcome: Outcome) -> None:
    assert outcome.result is Result.SKIPPED
    assert isinstance(outcome.error, BusyError)


async def test_of_two_who_claim_at_once_one_fills(
    source: MemoryLibrary, target: MemoryLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await waiting(source, target)
    monkeypatch.setattr("meltemi.replication.claim.this_holder", HOLDER.get)

    async def replicate(holder: str) -> Outcome:
        HOLDER.set(holder)
        [outcome] = await carry_out(the_plan, source, target)
        return outcome

    HOLDER.set("athens/1/1")
    the_plan = await plan(source, target)
    assert kinds(the_plan) == [Kind.COPY]
    # Both have found the image unclaimed before either writes its claim.
    both = target.hold("update", times=2)
    runs = [asyncio.create_task(replicate(holder)) for holder in ("crete/2/2", "samos/3/3")]
    while target.count("update") < 2 and not runs[0].done():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)
    both.go.set()
    first, second = sorted(await asyncio.gather(*runs), key=lambda outcome: outcome.result)
    assert first.result is Result.DONE
    assert_kept_away(second)
    assert target.count("upload") == 1
    assert list(target.images) == [image]
    assert target.data(image) == DATA
    assert (await plan(source, target)).actions == ()


async def test_the_later_word_holds(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = await waiting(source, target)
    written = target.hold("update", after=True)
    run = asyncio.create_task(sync(source, target))
    await written.reached.wait()
    claimed(target, image, Claim("crete/2/2", datetime.now(UTC) + timedelta(seconds=50)))
    written.go.set()
    [outcome] = await run
    assert_kept_away(outcome)
    assert "crete/2/2" in outcome.detail
    assert target.count("upload") == 0
    assert target.images[image].status == "queued"


async def test_a_mark_that_somebody_took_off_is_no_claim_of_ours(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = await waiting(source, target)
    written = target.hold("update", after=True)
    run = asyncio.create_task(sync(source, target))
    await written.reached.wait()
    target.edit(image, properties={})
    written.go.set()
    [outcome] = await run
    assert_kept_away(outcome)
    assert target.count("upload") == 0


async def test_what_somebody_else_sends_under_our_claim_is_not_registered_anew(
    source: MemoryLibrary, target: MemoryLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_: float) -> None:
        pass

    image = source.put(DATA)
    sending = target.hold("upload")
    run = asyncio.create_task(sync(source, target))
    await sending.reached.wait()
    target.edit(image.id, status="saving")
    monkeypatch.setattr(asyncio, "sleep", at_once)
    sending.go.set()
    [outcome] = await run
    monkeypatch.undo()
    assert_kept_away(outcome)
    assert list(target.images) == [image.id]
    assert target.count("upload") == target.count("create") == 1
    target.edit(image.id, status="queued")
    await synced(source, target)
    assert target.data(image.id) == DATA
