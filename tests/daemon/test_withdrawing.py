"""Copies that nobody wants any more: those that wait are dropped, the others looked at again."""

import asyncio
import time
from dataclasses import replace

from meltemi.daemon.board import Board
from meltemi.daemon.counters import Counters
from meltemi.daemon.dispatch import Dispatcher
from meltemi.daemon.jobs import place_of
from meltemi.daemon.lanes import Errand, Lane
from meltemi.daemon.runs import Tally
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.records import Cause, Run
from meltemi.libraries.base import Library
from meltemi.model.address import LibraryAddress
from meltemi.model.credential import Credential
from meltemi.model.image import Image
from meltemi.model.placement import Observed, Place
from meltemi.model.plan import Plan
from meltemi.model.route import Limits, OnSourceDeletion, Policy, Route
from meltemi.replication.case import Settled
from meltemi.replication.run import Libraries, plan_route
from tests.support.memory import MemoryLibrary

DELETING = Policy(on_source_deletion=OnSourceDeletion.DELETE)
ROUTE = Route("chosen", "source", ("crete",), policy=DELETING, limits=Limits(transfers=1))


class Work:
    """A dispatcher at work between two libraries in memory."""

    def __init__(self) -> None:
        self.source, self.crete = MemoryLibrary("source"), MemoryLibrary("crete")
        libraries = {"source": self.source, "crete": self.crete}

        async def open_(name: str, _: LibraryAddress, __: Credential | None) -> Library:
            return libraries[name]

        def nobody(_: str, __: str) -> Credential:
            raise AssertionError("no owner has an account here")

        addresses = {name: LibraryAddress(url=f"http://{name}") for name in libraries}
        self.libraries = Libraries(libraries, {})
        self.board = Board([], time.time)
        self.ended = asyncio.Event()
        self.lanes = {"crete": Lane(ROUTE, "crete")}
        shelf = Shelf(addresses, open_, nobody)
        self.dispatcher = Dispatcher(shelf, self.board, Counters(), self.ended.set)
        run = Run("chosen", Cause.START, ("crete",), None, time.time(), "me", id=1)
        self.tally = Tally(replace(run, ended=time.time()))
        self.dispatcher.expect(self.tally)

    async def submit(self) -> Plan:
        """Plan and begin."""

        def saw(image: Image, library: str, what: Settled) -> None:
            place = Place("source", image.id, library)
            self.board.saw(self.tally.run, place, image, what)

        plan = await plan_route(ROUTE, self.libraries, sending=False, tell=saw)
        self.dispatcher.submit(self.tally, plan, self.lanes)
        return plan

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self.dispatcher._under_way)
        await asyncio.sleep(0)
        assert not self.board.in_hand


async def test_what_waits_is_dropped_and_what_is_under_way_is_looked_at_again() -> None:
    work = Work()
    first, second = work.source.put(b"1", name="first"), work.source.put(b"22", name="second")
    held = work.crete.hold("upload", image_id=first.id, at=1)
    plan = await work.submit()
    await held.reached.wait()
    places = {place_of(action) for action in plan.actions}
    work.dispatcher.withdraw(places, work.lanes)
    assert work.board.in_hand == {Place("source", first.id, "crete")}
    assert work.board.get(Place("source", second.id, "crete")) is None
    assert work.lanes["crete"].errand is None
    held.go.set()
    await work.settle()
    assert set(work.crete.images) == {first.id}
    assert work.lanes["crete"].errand == Errand(Cause.RETURN, frozenset({first.id}))
    assert [tally.run for tally in work.dispatcher.settled()] == [work.tally.run]


async def test_what_boots_with_an_image_that_is_dropped_is_planned_again() -> None:
    work = Work()
    first = work.source.put(b"", name="first")
    kernel = work.source.put(b"kernel", name="kernel")
    image = work.source.put(b"1" * 9, name="image", properties={"kernel_id": kernel.id})
    held = work.crete.hold("create", image_id=first.id)
    await work.submit()
    await held.reached.wait()
    work.dispatcher.withdraw({Place("source", kernel.id, "crete")}, work.lanes)
    assert work.board.in_hand == {Place("source", first.id, "crete")}
    waiting = work.board.get(Place("source", image.id, "crete"))
    assert waiting is not None
    assert (waiting.wanted, waiting.observed) == (True, Observed.QUEUED)
    assert work.lanes["crete"].errand == Errand(Cause.RETURN)
    held.go.set()
    await work.settle()
    assert set(work.crete.images) == {first.id}


async def test_what_is_broken_off_is_queued_and_what_waited_is_dropped() -> None:
    work = Work()
    first, second = work.source.put(b"1", name="first"), work.source.put(b"22", name="second")
    held = work.crete.hold("upload", image_id=first.id, at=1)
    await work.submit()
    await held.reached.wait()
    assert {one.observed for one in work.board} == {Observed.COPYING, Observed.QUEUED}
    await work.dispatcher.retire(work.lanes.values())
    await asyncio.sleep(0)
    assert not work.board.in_hand
    assert {one.place.image for one in work.board} == {first.id, second.id}
    assert {one.observed for one in work.board} == {Observed.QUEUED}
    assert [tally.run for tally in work.dispatcher.settled()] == [work.tally.run]
    assert work.lanes["crete"].load == 0


async def test_a_run_is_not_over_while_its_removals_are_under_way() -> None:
    work = Work()
    image = work.source.put(b"1")
    await work.submit()
    await work.settle()
    work.source.remove(image.id)
    await work.submit()
    assert work.dispatcher.settled() == []
    await work.settle()
    assert work.crete.images == {}
    assert work.dispatcher.settled() == [work.tally]
