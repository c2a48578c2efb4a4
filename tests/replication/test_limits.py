"""Bandwidth, by a clock of its own: the rate is kept, by the timetable, and none is starved."""

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meltemi.model.route import Link
from meltemi.replication import limits
from meltemi.replication.limits import Bandwidth, Links

Timetable = tuple[tuple[int, int | None], ...]


class Clock:
    """Time that passes only while something sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += max(seconds, 1e-6)
        await asyncio.sleep(0)

    def today(self) -> datetime:
        return datetime(2026, 1, 1) + timedelta(seconds=self.now - 1000)  # noqa: DTZ001


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=clock.monotonic))
    monkeypatch.setattr(limits, "asyncio", SimpleNamespace(sleep=clock.sleep))
    return clock


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(1, 10**7), st.lists(st.integers(1, 10**6), min_size=1, max_size=30))
def test_the_rate_is_kept(clock: Clock, rate: int, counts: list[int]) -> None:
    async def check() -> None:
        bandwidth = Bandwidth(((0, rate),), today=clock.today)
        start = clock.now
        for done, count in enumerate(counts):
            await bandwidth.spend(count)
            passed = clock.now - start
            before = sum(counts[:done])
            assert before <= rate * passed + max(rate, *counts) * 1.001 + 1
            assert passed <= before / rate + len(counts) + 1.001

    counts = counts[: max(1, 30 * rate // max(counts))]
    asyncio.run(check())


async def test_without_a_limit_nothing_waits(clock: Clock) -> None:
    for timetable in ((), ((0, None),)):
        bandwidth = Bandwidth(timetable, today=clock.today)
        for _ in range(100):
            await bandwidth.spend(2**40)
    assert clock.now == 1000.0


async def test_the_timetable_is_followed_while_waiting(clock: Clock) -> None:
    bandwidth = Bandwidth(((0, 100), (1, None), (2, 50)), today=clock.today)
    await bandwidth.spend(10**9)
    await bandwidth.spend(1)
    assert 60 <= clock.now - 1000 <= 62, "what waited at 100 bytes a second went on at 00:01"
    await bandwidth.spend(10**9)
    assert clock.now - 1000 <= 62
    clock.now = 1120
    for _ in range(10):
        await bandwidth.spend(50)
    assert 8 <= clock.now - 1120 <= 11


async def test_all_share_one_rate(clock: Clock) -> None:
    bandwidth = Bandwidth(((0, 1000),), today=clock.today)

    async def transfer() -> None:
        for _ in range(10):
            await bandwidth.spend(100)

    await asyncio.gather(*(transfer() for _ in range(3)))
    assert clock.now - 1000 >= 2.5


def cable(rate: int, *libraries: str) -> Link:
    return Link("cable", frozenset(libraries), ((0, rate),))


def test_what_lies_between_libraries() -> None:
    links = Links([cable(10, "crete", "sparta"), Link("other", frozenset(["athens"]), ())])
    [here] = links.beside("crete", ["athens"])
    assert links.beside("sparta", ["athens", "crete"]) == [here]
    assert links.beside("crete", ["sparta"]) == []
    [there] = links.beside("athens", ["crete"])
    assert there is not here
    assert links.beside("delos", ["crete"]) == []


async def test_another_bandwidth_of_a_link_holds_at_once_for_what_crosses_it(clock: Clock) -> None:
    links = Links([cable(1, "crete")])
    [crossing] = links.beside("crete", ["athens"])
    await crossing.spend(1000)
    waiting = asyncio.create_task(crossing.spend(1))
    await asyncio.sleep(0)
    links.follow([cable(500, "crete")])
    assert links.beside("crete", ["athens"]) == [crossing]
    await waiting
    assert clock.now - 1000 < 10, "not a quarter of an hour"
    await crossing.spend(10**9)
    waiting = asyncio.create_task(crossing.spend(1))
    await asyncio.sleep(0)
    links.follow([])
    await waiting
    assert clock.now - 1000 < 20
    assert links.beside("crete", ["athens"]) == []
