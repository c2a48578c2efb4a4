"""Uploads that nobody is at any more, though the image still says `saving`."""

import asyncio
import os
import socket
from datetime import UTC, datetime, timedelta

import pytest

from meltemi.errors import QuotaError
from meltemi.model.image import Image
from meltemi.model.plan import Standing
from meltemi.model.provenance import timestamp
from meltemi.replication.claim import GIVEN_UP, Claim, end_claims
from meltemi.replication.report import Result
from tests.replication.running import DATA, plan, replicas, standings, sync, synced
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - 2 * GIVEN_UP
HERE = socket.gethostname()


@pytest.mark.parametrize(
    ("holder", "until", "updated", "given_up"),
    [
        ("elsewhere/1", LONG_AGO, timestamp(LONG_AGO), True),
        ("elsewhere/1", LONG_AGO, timestamp(NOW - GIVEN_UP + timedelta(minutes=1)), False),
        ("elsewhere/1", LONG_AGO, timestamp(NOW - GIVEN_UP - timedelta(minutes=1)), True),
        ("elsewhere/1", LONG_AGO, None, False),
        ("elsewhere/1", LONG_AGO, "yesterday", False),
        ("elsewhere/1", NOW + timedelta(seconds=30), timestamp(LONG_AGO), False),
        (f"{HERE}/999999999", NOW, timestamp(NOW), True),
        # Whoever lives is believed, however long it takes.
        (f"{HERE}/{os.getppid()}", LONG_AGO, timestamp(LONG_AGO), False),
    ],
)
def test_who_has_given_up(
    holder: str, until: datetime, updated: str | None, *, given_up: bool
) -> None:
    image = Image("1", status="saving", updated_at=updated)
    assert Claim(holder, until).is_given_up(image, NOW) is given_up


def test_who_is_known_to_have_ceased_holds_nothing() -> None:
    for holder in ("far away/1/0badc0de", f"{HERE}/{os.getppid()}/0badc0de"):
        claim, image = Claim(holder, NOW + timedelta(seconds=30)), Image("1", status="saving")
        assert claim.holds_against(NOW)
        assert not claim.is_given_up(image, NOW)
        end_claims([holder])
        assert not claim.holds_against(NOW)
        assert claim.is_abandoned
        assert claim.is_given_up(image, NOW)


def test_our_own_upload_was_broken_off_where_it_is_planned_again() -> None:
    image = Image("1", status="saving", updated_at=timestamp(NOW))
    assert Claim.take(NOW).is_given_up(image, NOW)


async def stuck(source: MemoryLibrary, target: MemoryLibrary, age: timedelta) -> Image:
    """Leave an image in `saving` as a replicator does that died elsewhere with its target."""
    image = source.put(DATA, visibility="public")
    target.fail("upload", QuotaError("full"))
    await sync(source, target)
    since = datetime.now(UTC) - age
    mark = {"meltemi_replicated_at": str(Claim("elsewhere/1", since))}
    properties = {**target.images[image.id].properties, **mark}
    target.edit(image.id, status="saving", properties=properties, updated_at=timestamp(since))
    return image


async def test_an_upload_from_elsewhere_is_waited_for(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = await stuck(source, target, GIVEN_UP - timedelta(minutes=5))
    found = await plan(source, target)
    assert standings(found) == {image.id: Standing.BUSY}
    assert found.actions == ()


async def test_an_upload_from_elsewhere_is_given_up_after_a_day(
    source: MemoryLibrary, target: MemoryLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: float) -> None:
        raise AssertionError("there is nothing to wait for")

    image = await stuck(source, target, GIVEN_UP + timedelta(minutes=5))
    pause = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda s: never(s) if s else pause(s))
    [outcome] = await sync(source, target)
    assert outcome.result is Result.DONE, outcome.detail
    assert outcome.target_id != image.id
    assert target.data(outcome.target_id) == DATA
    assert target.images[image.id].status == "saving"
    await synced(source, target)
    assert len(replicas(source, target)[image.id]) == 2
