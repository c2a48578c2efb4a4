"""The state: leases, and what only the leader may write; in SQLite and in PostgreSQL."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from lab import Postgres
from meltemi.daemon.state.records import Answer, Cause, Change, Held, Pause, Request, Run
from meltemi.daemon.state.state import State, open_state
from meltemi.errors import LeaseError, UsageError
from meltemi.model.placement import Observed, Place, Placement

PLACE = Place("s", "i", "t")
PLACEMENT = Placement(PLACE, "r", True, Observed.FAILED, 5.5, "name", "me", "why", due=9.25)
RUN = Run("r", Cause.EVENT, ("t", "u"), 3, 1.5, "one")


def nobody_is_gone(_: str) -> bool:
    return False


async def test_one_leads_until_its_lease_ends_or_is_given_back(state: State) -> None:
    assert await state.lead("one", 60, nobody_is_gone)
    assert await state.lead("one", 60, nobody_is_gone)
    assert not await state.lead("two", 60, nobody_is_gone)
    assert await state.leader() == "one"
    await state.resign("two")
    assert not await state.lead("two", 60, nobody_is_gone)
    await state.resign("one")
    assert await state.leader() is None
    assert await state.lead("two", 60, nobody_is_gone)


async def test_a_lease_ends_by_its_time(state: State) -> None:
    assert await state.lead("one", -1, nobody_is_gone)
    assert await state.leader() is None
    assert await state.lead("two", 60, nobody_is_gone)
    assert not await state.lead("one", 60, nobody_is_gone)


async def test_a_lease_from_before_the_clock_was_set_back_has_ended(state: State) -> None:
    assert await state.lead("one", 86_400, nobody_is_gone)
    assert await state.lead("two", 60, nobody_is_gone)


async def test_a_lease_ends_with_a_holder_that_is_known_to_be_gone(state: State) -> None:
    assert await state.lead("one", 60, nobody_is_gone)
    assert await state.lead("two", 60, "one".__eq__)


async def test_of_many_who_want_to_lead_one_does(state: State) -> None:
    wanted = [state.lead(f"holder {n}", 60, nobody_is_gone) for n in range(20)]
    assert sum(await asyncio.gather(*wanted)) == 1


async def test_only_the_leader_writes(state: State) -> None:
    await state.lead("one", 60, nobody_is_gone)
    number = await state.begin(RUN)
    await state.save("one", [PLACEMENT])
    await state.resign("one")
    await state.lead("two", 60, nobody_is_gone)
    change = Change(1.0, PLACE, "r", True, Observed.READY)
    with pytest.raises(LeaseError, match="another daemon leads by now"):
        await state.save("one", [replace(PLACEMENT, detail="new")], [PLACE], [change])
    with pytest.raises(LeaseError):
        await state.begin(RUN)
    await state.ask(Request(Cause.RETRY, 1.0))
    with pytest.raises(LeaseError):
        await state.answered("one", await state.requests())
    with pytest.raises(LeaseError):
        await state.succeed("one", 0.0)
    with pytest.raises(LeaseError):
        await state.forget("one", 1e12)
    assert await state.placements() == [PLACEMENT]
    assert await state.changes(most=10) == []
    assert [run.id for run in await state.runs(most=10)] == [number]
    assert len(await state.requests()) == 1


async def test_placements_are_kept_as_they_are(state: State) -> None:
    await state.lead("one", 60, nobody_is_gone)
    many = [replace(PLACEMENT, place=Place("s", f"{n:04}", "t")) for n in range(1200)]
    await state.save("one", many)
    await state.save("one", [replace(many[7], done=5)], [many[8].place])
    kept = await state.placements()
    assert kept == [*many[:7], replace(many[7], done=5), *many[9:]]


async def test_whatever_libraries_say_can_be_kept(state: State) -> None:
    odd: Any = {"name": "a\0b", "owner": 7, "detail": "half \ud800", "size": 2**70}
    await state.lead("one", 60, nobody_is_gone)
    one = replace(PLACEMENT, place=Place("s", "i\0", "t"), **odd)
    change = Change(1.0, one.place, "r", wanted=True, observed=Observed.READY, moved=2**70, **odd)
    for _ in range(2):
        await state.save("one", [one], history=[change])
    [kept] = await state.placements()
    [*_, told] = await state.changes(most=9)
    name = "a\N{REPLACEMENT CHARACTER}b"
    for found in (kept, told):
        assert (found.name, found.owner, found.detail) == (name, "7", "half ?")
        assert found.size == 2**63 - 1
    assert told.place == kept.place == Place("s", "i\N{REPLACEMENT CHARACTER}", "t")
    await state.save("one", [], [one.place])
    assert await state.placements() == []
    await state.answers.save("one", [Answer("s", "i", "a\0b", None, "a\0", 1.0)], [])
    assert [answer.name for answer in await state.answers.read()] == [name]


async def test_changes_come_in_order_and_runs_the_latest_first(state: State) -> None:
    await state.lead("one", 60, nobody_is_gone)
    first, second = await state.begin(RUN), await state.begin(RUN)
    ended = replace(RUN, id=first, ended=2.0, result="done", done=4)
    history = [Change(float(n), PLACE, "r", True, Observed.READY, moved=n) for n in range(5)]
    await state.save("one", [], history=history, ended=[ended])
    assert await state.runs(most=10) == [replace(RUN, id=second), ended]
    changes = await state.changes(most=3)
    assert [change.moved for change in changes] == [0, 1, 2]
    assert [c.moved for c in await state.changes(after=changes[-1].id, most=9)] == [3, 4]
    assert await state.last_change() == changes[-1].id + 2
    await state.usage.meter("one")
    await state.forget("one", 3.0)
    assert [c.moved for c in await state.changes(most=9)] == [3, 4]
    assert await state.runs(most=10) == []


async def test_a_history_that_was_kept_is_not_kept_again(state: State) -> None:
    """A database may fail once it has kept what it was given; nobody is charged twice for it."""
    await state.lead("one", 60, nobody_is_gone)
    at = 1794175431.1234567
    first, second = (
        Change(at + n, PLACE, "r", True, Observed.READY, "name", "me", f"{n}", moved=7)
        for n in range(2)
    )
    await state.save("one", [], history=[first])
    await state.save("one", [], history=[first, second], again=True)
    kept = await state.changes(most=9)
    assert [replace(change, id=0) for change in kept] == [first, second]
    await state.save("one", [], history=[second])
    assert len(await state.changes(most=9)) == 3


async def test_requests_are_heard_in_order_until_they_are_answered(state: State) -> None:
    await state.lead("one", 60, nobody_is_gone)
    asked = [Request(Cause.EVENT, float(n), image=str(n)) for n in range(3)]
    for request in asked:
        await state.ask(request)
    heard = await state.requests()
    assert list(heard.values()) == asked
    # One that was begun before, and is kept after, has a lower number than the last.
    first, *others = heard
    await state.answered("one", others)
    assert await state.requests() == {first: asked[0]}
    await state.answered("one", [first])
    assert await state.requests() == {}


async def test_whoever_leads_next_knows_who_led_and_ends_what_they_left(state: State) -> None:
    began = time.time()
    for holder in ("old", "one", "two"):
        await state.lead(holder, -1, nobody_is_gone)
        await state.begin(replace(RUN, holder=holder, began=1.5 if holder == "old" else began))
    done = replace(RUN, holder="two", began=began, ended=began, result="done")
    done = replace(done, id=await state.begin(done))
    assert await state.succeed("two", began - 60) == ["one"]
    last, *left, old = await state.runs(most=10)
    assert last == done
    assert [(run.holder, run.result) for run in left] == [("two", "failed"), ("one", "failed")]
    assert all(run.ended is not None and run.detail for run in left)
    assert old.ended is None


async def test_who_stops_in_a_transaction_keeps_nobody_from_leading_for_long(
    postgres: Postgres, tmp_path: Path
) -> None:
    postgres.create_database(tmp_path.name)
    state = await open_state(f"{postgres.url}/{tmp_path.name}")
    [told] = await state._rows(text("SHOW idle_in_transaction_session_timeout"))
    await state.close()
    assert set(told.values()) == {"10s"}


async def test_pauses(state: State) -> None:
    pause = Pause(Held.LIBRARY, "t", 1.0, "me")
    await state.pause(pause)
    await state.pause(replace(pause, by="somebody else"))
    assert await state.pauses() == [pause]
    assert await state.resume(Held.LIBRARY, "t")
    assert not await state.resume(Held.LIBRARY, "t")


async def test_troubles_are_those_of_the_moment(state: State) -> None:
    await state.lead("one", 60, nobody_is_gone)
    await state.troubles.keep("one", {("r", "t"): "t: silent", ("r", "u"): "u: away"})
    await state.troubles.keep("one", {("r", "u"): "u: silent"})
    with pytest.raises(LeaseError):
        await state.troubles.keep("two", {})
    assert await state.troubles.read() == {("r", "u"): "u: silent"}


async def test_what_is_no_database() -> None:
    with pytest.raises(UsageError, match="the state cannot be in mysql"):
        await open_state("mysql://somewhere/state")
