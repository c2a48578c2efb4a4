"""All shared readings of a run hold no more than one budget of memory together."""

import asyncio
from random import Random

import pytest

from meltemi.errors import QuotaError, VanishedError
from meltemi.replication import fanout
from meltemi.replication.fanout import Held
from meltemi.replication.report import Outcome, Result
from tests.replication.running import BLOCK, Recorder, carry_out, plan, results
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail

WINDOW, OF_ALL, ALONE = 32 * BLOCK, 24 * BLOCK, 2 * BLOCK
DATA = Random(7).randbytes(10 * BLOCK + 5)
"""Small enough for any window of its own."""

MANY = 8


class Watched(Held):
    """Remembers the most bytes that were ever held."""

    def __init__(self) -> None:
        self.most = 0
        super().__init__()

    def __setattr__(self, name: str, value: int) -> None:
        super().__setattr__(name, value)
        if name == "bytes":
            self.most = max(self.most, value)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "WINDOW", WINDOW)
    monkeypatch.setattr(fanout, "WINDOW_OF_ALL", OF_ALL)
    monkeypatch.setattr(fanout, "WINDOW_ALONE", ALONE)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Give the one budget that the run may make."""
    watched = Watched()
    monkeypatch.setattr("meltemi.replication.engine.Held", [watched].pop)
    return watched


@pytest.fixture
def source() -> MemoryLibrary:
    return MemoryLibrary("source", piece=BLOCK)


@pytest.fixture
def quick() -> MemoryLibrary:
    return MemoryLibrary("quick")


@pytest.fixture
def slow() -> MemoryLibrary:
    return MemoryLibrary("slow")


async def until_it_waits(run: asyncio.Task[list[Outcome]], recorder: Recorder, done: int) -> None:
    """Let so many actions finish, and everybody go as far as he can without the slow target."""
    while len(recorder.finished_in_order) < done and not run.done():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("request_", "at"), [("upload", 1), ("upload", None), ("create", None)])
async def test_a_target_that_is_slow_with_many_images_is_sent_away_from_some(
    source: MemoryLibrary,
    quick: MemoryLibrary,
    slow: MemoryLibrary,
    held: Watched,
    *,
    request_: str,
    at: int | None,
) -> None:
    images = [source.put(DATA, name=str(number)) for number in range(MANY)]
    waiting = slow.hold(request_, at=at, times=MANY)
    the_plan, recorder = await plan(source, quick, slow), Recorder()
    run = asyncio.create_task(
        carry_out(the_plan, source, quick, slow, reporter=recorder, transfers=MANY)
    )
    await until_it_waits(run, recorder, MANY)
    assert held.most <= OF_ALL + MANY * ALONE < MANY * len(DATA)
    assert sum(source.served.values()) == MANY * len(DATA)
    if at is None:
        assert held.bytes < OF_ALL / 2, "nobody waits for who has not begun"
    waiting.go.set()
    assert set(results(await run).values()) == {Result.DONE}
    assert all(slow.data(image.id) == DATA for image in images)
    assert sum(source.served.values()) > MANY * len(DATA), "who was sent away reads by itself"
    assert held.bytes == 0


@pytest.mark.parametrize(("request_", "at"), [("upload", 1), ("upload", None), ("create", None)])
async def test_a_target_that_is_slow_with_one_image_stays_while_there_is_room(
    source: MemoryLibrary,
    quick: MemoryLibrary,
    slow: MemoryLibrary,
    held: Watched,
    *,
    request_: str,
    at: int | None,
) -> None:
    image = source.put(DATA)
    waiting = slow.hold(request_, at=at)
    the_plan, recorder = await plan(source, quick, slow), Recorder()
    run = asyncio.create_task(carry_out(the_plan, source, quick, slow, reporter=recorder))
    await until_it_waits(run, recorder, 1)
    assert held.bytes == len(DATA) - (BLOCK if at else 0)
    waiting.go.set()
    assert set(results(await run).values()) == {Result.DONE}
    assert slow.data(image.id) == DATA
    assert source.served[image.id] == len(DATA)
    assert held.most <= len(DATA)
    assert held.bytes == 0


async def test_what_failed_gives_back_what_it_held(
    source: MemoryLibrary, quick: MemoryLibrary, slow: MemoryLibrary, held: Watched
) -> None:
    broken, vanishing = source.put(DATA, name="broken"), source.put(DATA, name="vanishing")
    source.put(DATA, name="fine")
    slow.fail("upload", QuotaError("full"), image_id=broken.id, at=5 * BLOCK)
    source.fail("read", VanishedError("gone"), image_id=vanishing.id, at=5 * BLOCK)
    outcomes = await carry_out(await plan(source, quick, slow), source, quick, slow)
    assert sorted(results(outcomes).values()).count(Result.FAILED) == 3
    assert held.most > 0
    assert held.bytes == 0
