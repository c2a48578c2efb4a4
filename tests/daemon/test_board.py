"""The board: what becomes of placements, by a clock of its own."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from meltemi.daemon.board import Board
from meltemi.daemon.census import Way
from meltemi.daemon.state.records import Cause, Run
from meltemi.errors import BusyError, ImageError, MeltemiError, StalePlanError, UnreachableError
from meltemi.model.image import Image
from meltemi.model.placement import Observed, Place, Placement
from meltemi.model.plan import Action, Kind, Note, Standing, Subject
from meltemi.replication.report import Outcome, Result

IMAGE = Image("i", name="image", owner="me", size=100, status="active")
PLACE = Place("s", "i", "t")
SUBJECT = Subject("route", "s", "t", "i", "image")
RUN = Run("route", Cause.SCHEDULE, ("t",), None, 0.0, "holder", id=7)
OTHER = replace(RUN, route="another route", id=8)


class Time:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def board(clock: Time) -> Iterator[Board]:
    """Give an empty board; whatever was done with it, it has counted what it has."""
    board = Board([], clock)
    yield board
    population = board.census[Way("route", PLACE.library)]
    assert +population.observed == Counter(one.observed for one in board)
    behind = {one.place: one.behind for one in board if one.behind is not None}
    assert population.behind == behind


def action(kind: Kind = Kind.COPY, **more: Any) -> Action:
    return Action(kind, SUBJECT, "i", "it is missing", "", "x", image=IMAGE, bytes=100, **more)


def note(standing: Standing) -> Note:
    return Note(SUBJECT, standing, "because")


def failed(error: MeltemiError) -> Outcome:
    return Outcome(action(), Result.FAILED, str(error), "i", error=error)


def of(board: Board) -> Placement:
    found = board.get(PLACE)
    assert found is not None
    return found


def see(board: Board, *what: Action | Note) -> Placement:
    board.saw(RUN, PLACE, IMAGE, what)
    return of(board)


@pytest.mark.parametrize(
    ("what", "observed"),
    [
        ((), Observed.READY),
        ((action(),), Observed.QUEUED),
        ((action(Kind.UPDATE),), Observed.STALE),
        ((note(Standing.CONFLICT),), Observed.CONFLICT),
        ((note(Standing.BUSY),), Observed.QUEUED),
    ],
)
def test_what_a_look_finds(board: Board, what: Any, observed: Observed) -> None:
    placement = see(board, *what)
    assert (placement.wanted, placement.observed, placement.run) == (True, observed, 7)
    assert placement.behind == (None if observed is Observed.READY else 1000.0)


def test_a_copy_from_queued_to_ready(board: Board, clock: Time) -> None:
    see(board, the := action())
    board.in_hand.add(PLACE)
    clock.now = 1001.0
    board.started(the)
    board.moved(the, 43)
    assert of(board).status == "copying 43 %"
    board.moved(the, -43)
    board.moved(the, 100)
    assert of(board).status == "copying 100 %"
    board.verifying(the)
    assert of(board).status == "verifying"
    assert of(board).behind == 1000.0
    clock.now = 1005.0
    board.finished(Outcome(the, Result.DONE, "", "other", 100), 7)
    placement = of(board)
    assert (placement.status, placement.behind, placement.since) == ("ready", None, 1005.0)
    assert placement.target_id == "other"
    history = board.take_dirt().history
    assert [change.observed for change in history] == ["queued", "copying", "verifying", "ready"]
    assert sum(change.moved for change in history) == 143  # what was sent again crossed the wire


def test_failures_wait_longer_each_time(board: Board, clock: Time) -> None:
    waits = []
    for attempt in range(1, 12):
        see(board, action())
        board.finished(failed(ImageError("s: image: broken")), 7)
        placement = of(board)
        assert placement.status == "failed: s: image: broken"
        assert placement.attempts == attempt
        assert placement.due is not None
        waits.append(placement.due - clock.now)
        assert board.waits(PLACE)
        assert see(board, action()).observed is Observed.FAILED  # a look does not forget it
        assert board.due("route") == {}
        clock.now = placement.due
        assert not board.waits(PLACE)
        assert board.due("route") == {"t": {"i"}}
    assert all(least / 2 <= wait <= least for wait, least in zip(waits, [15, 30, 60], strict=False))
    assert 1800 <= waits[-1] <= 3600


def test_a_due_time_from_before_the_clock_was_set_back_is_due(board: Board, clock: Time) -> None:
    see(board, action())
    board.finished(failed(ImageError("broken")), 7)
    clock.now -= 90_000
    assert board.due("route") == {"t": {"i"}}


def test_success_forgets_failures(board: Board) -> None:
    see(board, action())
    board.finished(failed(ImageError("broken")), 7)
    assert see(board).attempts == 0
    assert board.due("route") == {}


@pytest.mark.parametrize(
    "error",
    [UnreachableError("t: silent", library="t"), StalePlanError("changed"), BusyError("another")],
)
def test_what_is_not_the_images_fault_stays_queued(board: Board, error: MeltemiError) -> None:
    see(board, action())
    board.finished(failed(error), 7)
    assert (of(board).status, of(board).detail) == ("queued", str(error))


def test_what_is_no_longer_seen_is_not_wanted(board: Board) -> None:
    see(board)
    board.unseen("route", "s", ["t"], set(), None)
    placement = of(board)
    assert (placement.wanted, placement.observed) == (False, Observed.READY)
    board.finished(Outcome(action(Kind.DELETE), Result.DONE, "", "i"), 8)
    assert board.get(PLACE) is None
    dirt = board.take_dirt()
    assert (dirt.removed, dirt.changed) == ({PLACE}, set())
    assert dirt.history[-1].observed is Observed.ABSENT


def test_what_nobody_wants_is_there_until_it_is_gone(board: Board) -> None:
    see(board)
    assert board.leftovers("route", "s", "t") == {}
    board.unseen("route", "s", ["t"], set(), None)
    assert board.leftovers("route", "s", "t") == {PLACE: "i"}
    assert board.leftovers("another", "s", "t") == board.leftovers("route", "s", "u") == {}
    board.in_hand.add(PLACE)
    board.vanished([PLACE])
    assert of(board).observed is Observed.READY
    board.in_hand.clear()
    board.vanished([PLACE, Place("s", "another", "t")])
    assert board.get(PLACE) is None
    assert board.take_dirt().history[-1].observed is Observed.ABSENT


def test_what_is_wanted_is_not_taken_for_gone(board: Board) -> None:
    see(board)
    board.vanished([PLACE])
    assert of(board).observed is Observed.READY


@pytest.mark.parametrize("facts", [{"owner": "you"}, {"size": 200}])
def test_there_is_a_history_of_whom_to_charge_for_how_much(
    board: Board, clock: Time, facts: dict[str, Any]
) -> None:
    see(board)
    board.take_dirt()
    clock.now = 1060.0
    board.saw(RUN, PLACE, IMAGE, ())
    assert board.take_dirt().history == []
    board.saw(RUN, PLACE, replace(IMAGE, **facts), ())
    [change] = board.take_dirt().history
    assert (change.at, change.observed) == (1060.0, "ready")
    assert {name: getattr(change, name) for name in facts} == facts
    assert of(board).since == 1000.0


def test_of_two_routes_to_one_place_the_first_has_the_image_until_it_lets_go(board: Board) -> None:
    see(board)
    # An owner has not chosen what the operator's route carries, or may not.
    board.saw(OTHER, PLACE, IMAGE, (note(Standing.LEFT_OUT),))
    board.unseen("another route", "s", ["t"], set(), None)
    assert (of(board).wanted, of(board).route) == (True, "route")
    board.saw(OTHER, PLACE, IMAGE, ())
    assert (of(board).wanted, of(board).route) == (True, "route")
    assert [change.observed for change in board.take_dirt().history] == ["ready"]
    assert board.take_released() == []
    board.unseen("route", "s", ["t"], set(), None)
    [released] = board.take_released()
    assert (released.place, released.route) == (PLACE, "route")
    assert board.take_released() == []
    board.saw(OTHER, PLACE, IMAGE, ())
    assert (of(board).wanted, of(board).route) == (True, "another route")
    board.drop([])  # what is left is counted for one route


def test_a_look_at_some_images_says_nothing_of_others(board: Board) -> None:
    see(board)
    board.unseen("route", "s", ["t"], set(), {"another"})
    assert of(board).wanted
    board.unseen("another route", "s", ["t"], set(), None)
    assert of(board).wanted
    board.unseen("route", "s", ["t"], set(), {"i"})
    assert not of(board).wanted


def test_what_is_in_hand_is_left_alone(board: Board) -> None:
    see(board, the := action())
    board.in_hand.add(PLACE)
    board.started(the)
    assert see(board).status == "copying 0 %"
    board.unseen("route", "s", ["t"], set(), None)
    assert of(board).wanted


def test_what_is_broken_off_is_queued(board: Board) -> None:
    see(board, the := action())
    board.broken_off(the)
    assert of(board).detail == "it is missing"
    board.started(the)
    board.moved(the, 43)
    board.broken_off(the)
    placement = of(board)
    assert (placement.status, placement.detail, placement.done) == ("queued", "interrupted", 0)
    board.finished(Outcome(the, Result.DONE, "", "i", 100), 7)
    board.broken_off(the)
    assert of(board).status == "ready"


def test_what_was_under_way_when_a_daemon_died_is_queued(clock: Time) -> None:
    board = Board([Placement(PLACE, "route", True, Observed.COPYING, 1.0, done=5, total=9)], clock)
    assert (of(board).status, of(board).detail) == ("queued", "interrupted")


def test_what_could_not_be_kept_is_kept_later(board: Board) -> None:
    see(board, the := action())
    first = board.take_dirt()
    board.finished(Outcome(the, Result.DONE, "", "i", 100), 7)
    board.put_back(first)
    dirt = board.take_dirt()
    assert all(part.again for part in dirt.parted(1))
    assert not board.take_dirt().again
    assert dirt.changed == {PLACE}
    assert [change.observed for change in dirt.history] == ["queued", "ready"]


def test_what_was_removed_and_came_back_stays(board: Board) -> None:
    see(board, action())
    board.unseen("route", "s", ["t"], set(), None)
    gone = board.take_dirt()
    assert gone.removed == {PLACE}
    see(board)
    board.put_back(gone)
    assert (board.take_dirt().removed, of(board).observed) == (set(), Observed.READY)


def test_hurrying_makes_the_next_attempt_due(board: Board) -> None:
    see(board, action())
    board.finished(failed(ImageError("broken")), 7)
    board.hurry("route", "t", "another")
    assert board.due("route") == {}
    board.hurry("route", "t", None)
    assert board.due("route") == {"t": {"i"}}
    assert of(board).attempts == 0


def test_lanes_that_are_no_more_are_forgotten(board: Board) -> None:
    see(board)
    board.drop([("route", "s", "t")])
    assert of(board).wanted
    board.drop([("route", "another source", "t")])
    assert board.get(PLACE) is None


def test_a_percentage_never_exceeds_a_hundred() -> None:
    placement = Placement(PLACE, "route", True, Observed.COPYING, 1.0, done=150, total=100)
    assert placement.status == "copying 100 %"
    assert replace(placement, total=0).status == "copying 0 %"
