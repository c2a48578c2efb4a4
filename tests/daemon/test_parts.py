"""The daemon's parts without I/O: jobs, lanes, schedules, waits."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meltemi.daemon.backoff import Backoff
from meltemi.daemon.jobs import parted, removals_of
from meltemi.daemon.lanes import Errand, Gate, Lane, Room
from meltemi.daemon.repeating import Unrepeated
from meltemi.daemon.service import Service
from meltemi.daemon.state.records import Cause
from meltemi.daemon.timing import Timer
from meltemi.errors import ConfigurationError
from meltemi.model.image import Image, state_digest
from meltemi.model.plan import Action, Kind, Subject
from meltemi.model.route import Limits, Route
from meltemi.model.schedule import Schedule, parse_schedule

NOON = datetime(2026, 7, 3, 12)  # noqa: DTZ001 - a Friday, by the local clock

names = st.sampled_from("abcdefgh")


def copy(image: str, target: str, needs: frozenset[str], bases: frozenset[str]) -> Action:
    return Action(
        *(Kind.COPY, Subject("r", "s", target, image, image), f"{image} there", "missing"),
        *(state_digest(Image(image)), "absent"),
        needs=tuple(needs),
        bases=tuple(f"{base} there" for base in bases),
    )


@given(st.lists(st.builds(copy, names, names, st.frozensets(names), st.frozensets(names))))
def test_jobs_hold_together_what_needs_each_other(actions: list[Action]) -> None:
    parts = list(parted(actions))
    assert sorted(map(id, actions)) == sorted(id(a) for part in parts for a in part)
    groups = [{action.subject.source_id for action in part} for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups))  # each image in one of them
    copied = {action.subject.source_id for action in actions}
    for action in actions:
        [group] = [one for one in groups if action.subject.source_id in one]
        others = set(action.needs) | {base.split()[0] for base in action.bases}
        assert others & copied <= group


def test_removals_are_apart_by_target() -> None:
    gone = [
        Action(Kind.DELETE, Subject("r", "s", target, "i", None), "i", "", "absent", "x")
        for target in ("t", "u", "t")
    ]
    assert list(parted(gone)) == []
    assert {name: len(some) for name, some in removals_of(gone).items()} == {"t": 2, "u": 1}


def test_errands_are_joined() -> None:
    some = Errand(Cause.EVENT, frozenset("a"))
    more = Errand(Cause.RETRY, frozenset("b"))
    everything = Errand(Cause.SCHEDULE)
    assert some.joined(more) == Errand(Cause.EVENT, frozenset("ab"))
    assert some.joined(everything) == everything.joined(some) == everything


def lane(*rooms: Room) -> Lane:
    return Lane(Route("r", "s", ("t",), limits=Limits(transfers=2)), "t", rooms)


def test_a_lane_has_room_where_all_its_rooms_have() -> None:
    shared = Room(3)
    one, other = lane(shared), lane(shared)
    one.take(2)
    assert not one.has_room
    assert other.has_room
    other.take(1)
    assert not other.has_room
    one.take(-1)
    assert one.has_room
    assert other.has_room


class Passing:
    """Images that pass a gate, by name, in the order in which they have."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.passed: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, rooms: Sequence[Room]) -> None:
        """Let one come, and go in where there is room."""

        async def pass_() -> None:
            async with self.gate.passed(rooms):
                self.passed.append(name)
                await self._leave[name].wait()

        self._leave[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(pass_())
        await asyncio.sleep(0)

    async def leave(self, name: str) -> None:
        """Let one go on."""
        self._leave[name].set()
        await self._tasks[name]
        await asyncio.sleep(0)

    async def give_up(self, name: str) -> None:
        """Break one off."""
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        await asyncio.sleep(0)


async def test_who_waits_for_one_target_keeps_no_place_of_the_source() -> None:
    source, slow, quick = Room(2), Room(1), Room(1)
    work = Passing()
    await work.come("hangs", (source, slow))
    await work.come("waits", (source, slow))
    await work.come("goes on", (source, quick))
    assert work.passed == ["hangs", "goes on"]
    assert (source.taken, slow.taken, quick.taken) == (2, 1, 1)
    await work.leave("hangs")
    assert work.passed[2:] == ["waits"]


async def test_images_set_out_in_the_order_in_which_they_came() -> None:
    room, other = Room(1), Room(1)
    work = Passing()
    for name in ("first", "second", "third", "fourth"):
        await work.come(name, (room,))
    await work.give_up("second")
    await work.leave("first")
    await work.come("fifth", (room, other))
    assert work.passed == ["first", "third"]
    await work.give_up("third")
    await work.leave("fourth")
    assert work.passed == ["first", "third", "fourth", "fifth"]
    await work.leave("fifth")
    assert (room.taken, other.taken) == (0, 0)


def test_what_is_under_way_is_looked_at_when_it_has_arrived() -> None:
    one, in_hand = lane(), {"a"}
    one.leave(Errand(Cause.EVENT, frozenset("ab")))
    one.hold(in_hand.__contains__)
    assert one.errand == Errand(Cause.EVENT, frozenset("b"))
    one.errand = Errand(Cause.EVENT, frozenset("a"))
    one.hold(in_hand.__contains__)
    assert one.errand is None
    one.leave(Errand(Cause.SCHEDULE))
    in_hand.clear()
    one.hold(in_hand.__contains__)
    assert one.errand == Errand(Cause.SCHEDULE)
    assert not one.held


def test_a_lane_that_failed_is_left_alone_and_then_looked_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    now = [0.0]
    the = lane()
    the._clock = lambda: now[0]
    the.fail("t: silent")
    assert the.is_away
    assert not the.is_ready
    the.fail("t: silent")  # what failed at the same time is one failure
    assert the.failures == 1
    now[0] = 2.0
    assert the.is_ready
    assert the.errand == Errand(Cause.RETURN)
    the.fail("t: silent")
    now[0] += 1.9
    assert the.is_away  # at least half of four seconds
    the.hurry()
    assert the.is_ready
    assert the.failures == 2
    the.succeed()
    the.succeed()
    assert the.failures == 0
    assert caplog.messages == [  # once, however often it fails of the same
        "route r: t is left alone for a while: t: silent",
        "route r: t answers again",
    ]


def test_a_library_that_fails_at_work_is_left_alone_for_longer_though_it_can_be_read() -> None:
    now = [0.0]
    the = lane()
    the._clock = lambda: now[0]
    for failures in (1, 2, 3):
        the.fail("t: read-only", at_work=True)
        assert the.failures == failures
        now[0] += 300.0
        the.read(is_busy=True)
        assert the.error == "t: read-only"
    the.read(is_busy=False)
    assert (the.failures, the.error) == (0, "")
    the.fail("t: silent")
    the.read(is_busy=True)
    assert the.failures == 0


@given(st.integers(1, 10_000))
def test_waits_grow_and_end(failures: int) -> None:
    wait = Backoff(first=2, longest=300).after(failures)
    most = min(2 * 2 ** min(failures - 1, 20), 300)
    assert most / 2 <= wait <= most


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("15m", Schedule(interval=timedelta(minutes=15))),
        ("*/15 8-18 * * mon-fri", Schedule(cron="*/15 8-18 * * mon-fri")),
        ("  0   0 1 * * ", Schedule(cron="0 0 1 * *")),
    ],
)
def test_schedules(text: str, schedule: Schedule) -> None:
    assert parse_schedule(text) == schedule


@pytest.mark.parametrize("text", ["", "0", "0s", "hourly", "61 * * * *", "* * * *", "* * * * * *"])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|interval"):
        parse_schedule(text)


class Clocks:
    """Both clocks of a machine."""

    def __init__(self) -> None:
        self.seconds, self.day = 0.0, NOON

    def timer(self, text: str) -> Timer:
        return Timer(parse_schedule(text), monotonic=lambda: self.seconds, now=lambda: self.day)

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.day += timedelta(seconds=seconds)


def test_an_interval_is_counted_whatever_the_clock_says() -> None:
    clocks = Clocks()
    timer = clocks.timer("1m")
    assert not timer.is_due()
    clocks.day += timedelta(days=3)
    assert not timer.is_due()
    clocks.pass_(61)
    clocks.day -= timedelta(days=9)
    assert timer.is_due()
    assert not timer.is_due()


def test_cron_fires_once_for_all_that_has_passed() -> None:
    clocks = Clocks()
    timer = clocks.timer("*/10 * * * *")
    assert not timer.is_due()
    clocks.pass_(599)
    assert not timer.is_due()
    clocks.pass_(1)
    assert timer.is_due()
    clocks.day += timedelta(days=2)
    assert timer.is_due()
    assert not timer.is_due()
    clocks.day -= timedelta(days=4)
    assert not timer.is_due()
    clocks.pass_(601)
    assert timer.is_due()


def test_a_cron_expression_that_is_rare_does_not_fire_early() -> None:
    clocks = Clocks()
    timer = clocks.timer("0 0 29 2 *")
    clocks.pass_(86_400 * 30)
    assert not timer.is_due()


def test_the_same_warning_is_written_once_a_minute() -> None:
    now = [0.0]
    unrepeated = Unrepeated(lambda: now[0])

    def is_written(text: str, level: int = logging.WARNING) -> bool:
        return unrepeated.filter(logging.LogRecord("", level, "", 0, "%s", (text,), None))

    assert [is_written("away"), is_written("away"), is_written("gone")] == [True, False, True]
    assert is_written("away", logging.INFO)
    now[0] = 60.0
    assert [is_written("away"), is_written("away")] == [True, False]


def test_a_bus_that_cannot_be_heard_is_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = "{transport_url: 'rabbit://me:secret@bus/'}"
    file = tmp_path / "meltemi.yaml"
    file.write_text(f"version: 1\nlibraries: {{athens: {{cloud: a, notifications: {bus}}}}}\n")
    monkeypatch.setitem(sys.modules, "oslo_messaging", None)
    with pytest.raises(ConfigurationError, match=r"athens: notifications need oslo\.messaging"):
        Service(file, lambda _: None)
