"""Claims of processes that share a host and a number, and claims too good to be true."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from meltemi.errors import QuotaError
from meltemi.model.plan import Kind, Standing
from meltemi.replication.claim import LASTING, Claim
from tests.replication.running import kinds, plan, standings, sync, synced
from tests.support.memory import MemoryLibrary

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST = socket.gethostname()
OURS = Claim.take(NOW).holder
REBORN = f"{HOST}/{os.getpid()}/00000000"
"""A process that had this one's number, as the first one of a container always has."""

_HOLDER = """
from datetime import UTC, datetime
from meltemi.replication.claim import Claim
print(Claim.take(datetime.now(UTC)).holder, flush=True)
input()
"""


async def left_waiting(source: MemoryLibrary, target: MemoryLibrary, claim: Claim) -> str:
    """Leave an image that waits for its data under a claim."""
    image = source.put(b"golden")
    target.fail("upload", QuotaError("full"))
    await sync(source, target)
    mark = target.images[image.id].properties
    target.edit(image.id, properties={**mark, "meltemi_replicated_at": str(claim)})
    return image.id


def test_a_process_reborn_under_its_number_does_not_hold_the_claim_of_the_one_before() -> None:
    claim = Claim(REBORN, NOW + LASTING)
    assert claim.holder != OURS
    assert not claim.is_ours
    assert claim.is_abandoned
    assert not claim.holds_against(NOW)


def test_a_living_process_and_a_process_elsewhere_are_not_reborn() -> None:
    for holder in (f"{HOST}/{os.getppid()}/00000000", f"elsewhere/{os.getpid()}/00000000"):
        claim = Claim(holder, NOW + LASTING)
        assert not claim.is_abandoned
        assert claim.holds_against(NOW)


def test_no_two_processes_bear_the_same_mark() -> None:
    marks = {OURS.split("/")[2]}
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", _HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            holder = process.stdout.readline().strip()
            assert holder.startswith(f"{HOST}/{process.pid}/")
            assert Claim(holder, NOW + LASTING).holds_against(NOW)
            process.stdin.close()
        marks.add(holder.split("/")[2])
    assert len(marks) == 3
    assert all(marks)


async def test_what_a_process_reborn_had_begun_is_filled_at_once() -> None:
    source, target = MemoryLibrary("source"), MemoryLibrary("target")
    image = await left_waiting(source, target, Claim(REBORN, datetime.now(UTC) + LASTING))
    await synced(source, target)
    assert target.data(image) == b"golden"
    assert list(target.images) == [image]


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize(
    ("seconds", "holds"), [(1, True), (599, True), (600, False), (86_400, False), (10**10, False)]
)
def test_a_claim_far_in_the_future_is_not_believed(
    *, stays: bool, seconds: int, holds: bool
) -> None:
    claim = Claim("elsewhere/1/0badc0de", NOW + timedelta(seconds=seconds), stays)
    assert claim.holds_against(NOW) is holds


@pytest.mark.parametrize(
    ("ahead", "kind"), [(timedelta(minutes=5), None), (timedelta(days=300), Kind.COPY)]
)
async def test_a_claim_far_in_the_future_holds_up_no_image(
    ahead: timedelta, kind: Kind | None
) -> None:
    source, target = MemoryLibrary("source"), MemoryLibrary("target")
    claim = Claim("elsewhere/1/0badc0de", datetime.now(UTC) + ahead)
    image = await left_waiting(source, target, claim)
    found = await plan(source, target)
    assert kinds(found) == ([kind] if kind else [])
    assert standings(found) == ({} if kind else {image: Standing.BUSY})
    if kind:
        await synced(source, target)
        assert target.data(image) == b"golden"
