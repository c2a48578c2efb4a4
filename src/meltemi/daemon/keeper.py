"""The daemon that leads: keeps every route true until it is told to stop."""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial, reduce
from typing import Final

from meltemi.config.load import Configuration
from meltemi.daemon.accounts import Accounts
from meltemi.daemon.board import Board
from meltemi.daemon.census import Census, Way
from meltemi.daemon.counters import Counters
from meltemi.daemon.dirt import Dirt
from meltemi.daemon.dispatch import Dispatcher
from meltemi.daemon.lanes import Errand, Gate, Lane, Room
from meltemi.daemon.look import Look
from meltemi.daemon.owners import Owners
from meltemi.daemon.runs import Tally
from meltemi.daemon.scribe import Scribe
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.records import Cause, Held, Request, Run
from meltemi.daemon.state.state import State
from meltemi.daemon.timing import Timer
from meltemi.errors import LeaseError, MeltemiError, StateError
from meltemi.model.placement import Place, Placement
from meltemi.model.route import Route
from meltemi.model.schedule import Schedule

_log: Final = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.5
"""How often requests and timers are looked at, and what was observed is kept."""

_URGENT: Final = frozenset({Cause.REQUEST, Cause.RETRY})
"""Causes behind which somebody waits: also where a library is left alone since it failed."""

_TOGETHER: Final = 2000
"""Changes that are kept at once: the lease, and what others ask for, must not wait for more."""

_FORGET: Final = Schedule(interval=timedelta(hours=1))
_METER: Final = Schedule(interval=timedelta(minutes=1))


class Keeper:
    """Looks at routes when they are due, and carries out what is to be done.

    `holder` is the name under which this process leads. Requests of others come by the state.
    """

    def __init__(
        self,
        configuration: Configuration,
        state: State,
        shelf: Shelf,
        *,
        board: Board,
        counters: Counters,
        owners: Owners,
        accounts: Accounts,
        holder: str,
    ) -> None:
        self._state = state
        self._shelf = shelf
        self._board = board
        self._counters = counters
        self._owners = owners
        self._accounts = accounts
        self._scribe = Scribe(shelf, owners)
        self._holder = holder
        self._awake = asyncio.Event()
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._rooms: dict[str, Room] = {}
        self._gate = Gate()
        self._turn = asyncio.Lock()
        self._timers: dict[tuple[str, Cause, Schedule], Timer] = {}
        self._dispatcher = Dispatcher(shelf, board, counters, self._awake.set)
        self._looks: dict[asyncio.Task[None], list[Lane]] = {}
        self._forgetting = Timer(_FORGET)
        self._metering = Timer(_METER)
        self._is_unmetered = False
        self._troubles: dict[tuple[str, str], str] | None = None
        self._take(configuration, Cause.START)

    @property
    def lanes(self) -> Collection[Lane]:
        """Give every lane."""
        return self._lanes.values()

    @property
    def census(self) -> Census:
        """Give the placements, counted."""
        return self._board.census

    @property
    def reconcile(self) -> float:
        """Say how often every route is looked at, in seconds."""
        return self._reconcile.total_seconds()

    def backlog(self) -> Counter[Way]:
        """Count the actions that have not ended."""
        return self._dispatcher.backlog()

    async def run(self) -> None:
        """Go on until cancelled; raise LeaseError where another daemon leads by now."""
        try:
            while True:
                await self._tick()
                try:
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._awake.wait()
                except TimeoutError:
                    pass
                self._awake.clear()
        finally:
            await self._break_off(self._lanes.values())
            await self._scribe.stop()

    def wake(self) -> None:
        """Hear requests at once, rather than within `TICK_SECONDS`."""
        self._awake.set()

    async def reload(self, configuration: Configuration) -> None:
        """Go on with another configuration; transfers of routes that are the same go on."""
        async with self._turn:
            before = list(self._lanes.values())
            changed = self._shelf.changed(configuration.libraries)
            limits = self._transfers.items() ^ configuration.transfers.items()
            changed |= {name for name, _ in limits}
            self._take(configuration, Cause.CONFIGURATION, changed)
            kept = {id(lane) for lane in self._lanes.values()}
            await self._break_off([lane for lane in before if id(lane) not in kept])
            await self._shelf.reload(configuration.libraries)
        self._awake.set()

    async def _break_off(self, lanes: Collection[Lane]) -> None:
        """Break off everything that goes on in some lanes: what is complete stays."""
        gone = {id(lane) for lane in lanes}
        looks = [task for task, some in self._looks.items() if gone & set(map(id, some))]
        for task in looks:
            task.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        await self._dispatcher.retire(lanes)

    def _take(
        self, configuration: Configuration, cause: Cause, changed: Collection[str] = ()
    ) -> None:
        """Make the lanes and timers of a configuration; those of routes that changed are new."""
        self._routes = {route.name: route for route in configuration.routes}
        self._history = configuration.daemon.history
        self._reconcile = configuration.daemon.reconcile
        self._dispatcher.links.follow(configuration.links)
        self._transfers = configuration.transfers
        for name, most in configuration.transfers.items():
            if name not in self._rooms or self._rooms[name].most != most:
                self._rooms[name] = Room(most)
        lanes = {}
        for route in configuration.routes:
            for library in route.targets:
                lane = self._lanes.get((route.name, library))
                is_other = not {route.source, *route.targets}.isdisjoint(changed)
                if lane is None or lane.route != route or is_other:
                    ends = [name for name in (route.source, library) if name in self._transfers]
                    lane = Lane(route, library, [self._rooms[name] for name in ends], self._gate)
                    lane.leave(Errand(cause))
                lanes[route.name, library] = lane
                self._counters.knows(route.name, library)
        self._lanes = lanes
        reconciling = Schedule(interval=configuration.daemon.reconcile)
        wanted = [(name, Cause.RECONCILIATION, reconciling) for name in self._routes]
        wanted += [(r.name, Cause.SCHEDULE, r.schedule) for r in configuration.routes if r.schedule]
        # What did not change goes on, or who saves the file often enough is never served.
        self._timers = {one: self._timers.get(one) or Timer(one[2]) for one in wanted}
        self._board.drop({(r, lane.route.source, name) for (r, name), lane in lanes.items()})
        self._owners.take(configuration.routes)
        self._scribe.take(configuration.routes)

    async def _tick(self) -> None:
        try:
            # Lanes are not to be exchanged in the middle of it.
            async with self._turn:
                await self._hear()
                self._leave_errands()
                await self._start_looks()
                self._dispatcher.start()
                await self._keep()
                self._scribe.start()
        except LeaseError:
            raise
        except StateError as error:
            # It comes back, or the lease is lost for good, and somebody else goes on.
            self._counters.state_errors.inc()
            _log.warning("%s", error)

    async def _hear(self) -> None:
        paused = {(pause.kind, pause.name) for pause in await self._state.pauses()}
        for lane in self._lanes.values():
            names = (Held.ROUTE, lane.route.name), (Held.LIBRARY, lane.library)
            lane.is_paused = not paused.isdisjoint(names)
        asked = await self._state.requests()
        for request in asked.values():
            if request.cause is Cause.EVENT:
                self._scribe.judge(request, self._answer)
            else:
                self._answer(request)
        if asked:
            # Only now: where this fails, they are heard once more, and none is lost.
            await self._state.answered(self._holder, asked)
            for request in asked.values():
                self._counters.heard(request.cause)

    def _answer(self, request: Request) -> None:
        for (route, library), lane in self._lanes.items():
            asked = (request.route, request.library, request.source)
            there = (route, library, lane.route.source)
            if all(a in (None, b) for a, b in zip(asked, there, strict=True)):
                images = None if request.image is None else frozenset({request.image})
                lane.leave(Errand(request.cause, images))
                if request.cause in _URGENT:
                    lane.hurry()
                if request.cause is Cause.RETRY:
                    self._board.hurry(lane.route.name, library, request.image)

    def _leave_errands(self) -> None:
        for (name, cause, _), timer in self._timers.items():
            if timer.is_due():
                for lane in self._lanes_of(name):
                    lane.leave(Errand(cause))
        for name in self._routes:
            for library, images in self._board.due(name).items():
                waiting = self._lanes.get((name, library))
                if waiting is not None and waiting.is_open:
                    waiting.leave(Errand(Cause.RETRY, frozenset(images)))
        self._pass_on()
        for lane in self._lanes.values():
            lane.hold(partial(self._is_in_hand, lane))

    def _pass_on(self) -> None:
        """Have other routes look at what one has ceased to want."""
        for left in self._board.take_released():
            source, image, library = left.place
            for lane in self._lanes.values():
                leads_there = (lane.route.source, lane.library) == (source, library)
                if leads_there and lane.route.name != left.route:
                    lane.leave(Errand(Cause.RETURN, frozenset({image})))

    def _is_in_hand(self, lane: Lane, image: str) -> bool:
        """Say whether an image is on its way to a library, or to the relay that it comes from."""
        ends = {lane.library, lane.route.relay or lane.library}
        places = {Place(lane.route.source, image, library) for library in ends}
        return not self._board.in_hand.isdisjoint(places)

    def _lanes_of(self, route: str) -> Iterable[Lane]:
        return (lane for (name, _), lane in self._lanes.items() if name == route)

    async def _start_looks(self) -> None:
        """Look at lanes with errands; those of a route with the same errand together."""
        for (name, errand), lanes in self._ready().items():
            run = Run(
                route=name,
                cause=errand.cause,
                libraries=tuple(lane.library for lane in lanes),
                images=None if errand.images is None else len(errand.images),
                began=time.time(),
                holder=self._holder,
            )
            tally = Tally(replace(run, id=await self._state.begin(run)))
            for lane in lanes:
                lane.errand, lane.is_looked_at = None, True
            self._dispatcher.expect(tally)
            task = asyncio.create_task(self._look(self._routes[name], lanes, errand, tally))
            self._looks[task] = lanes
            task.add_done_callback(self._looks.pop)

    def _ready(self) -> dict[tuple[str, Errand], list[Lane]]:
        """Give the lanes to look at now, by their route and errand.

        Those of a route with a relay go together, once it is not being looked at itself: what the
        others get is seen there. One that takes its time is looked at again later.
        """
        ready: dict[tuple[str, Errand], list[Lane]] = defaultdict(list)
        for name, route in self._routes.items():
            lanes = list(self._lanes_of(name))
            if route.relay is None:
                for lane in lanes:
                    if lane.is_ready and lane.errand is not None:
                        ready[name, lane.errand].append(lane)
            elif not self._lanes[name, route.relay].is_looked_at:
                free = [lane for lane in lanes if lane.is_open and not lane.is_looked_at]
                if errands := [lane.errand for lane in free if lane.errand is not None]:
                    errand = reduce(Errand.joined, errands)
                    ready[name, errand] = free
                    for lane in lanes:
                        if lane.is_looked_at:
                            lane.leave(errand)
        return ready

    async def _look(self, route: Route, lanes: list[Lane], errand: Errand, tally: Tally) -> None:
        by_name = {lane.library: lane for lane in lanes}
        look = Look(
            route,
            errand.images,
            run=tally.run,
            shelf=self._shelf,
            board=self._board,
            owners=self._owners,
            accounts=self._accounts,
            lanes=by_name,
        )
        problems: dict[str, str] = {}
        # Those that were read may be looked at by another one, before this one ends.
        left = dict(by_name)
        try:
            async for found in look.found():
                in_sync = sum(found.plan.in_sync.values())
                tally.run = replace(tally.run, in_sync=tally.run.in_sync + in_sync)
                busy = {action.subject.target for action in found.plan.actions}
                for name in found.libraries:
                    lane = left.pop(name)
                    lane.read(is_busy=name in busy)
                    lane.is_looked_at = False
                    lane.looked = time.time()
                for name, error in found.errors.items():
                    lane = left.pop(name)
                    lane.fail(str(error))
                    lane.is_looked_at = False
                    problems[name] = str(error)
                self._dispatcher.withdraw(found.withdrawn, by_name)
                self._dispatcher.submit(tally, found.plan, by_name, found.account)
        except asyncio.CancelledError:
            problems[route.source] = "broken off: the configuration has changed, or the daemon ends"
            raise
        except MeltemiError as error:
            problems[route.source] = str(error)
        except Exception as error:  # noqa: BLE001 - logged; the daemon goes on
            _log.exception("route %s: a defect", route.name)
            problems[route.source] = f"a defect in Meltemi: {error}"
        finally:
            for lane in left.values():
                if route.source in problems:
                    lane.fail(problems[route.source])
                lane.is_looked_at = False
            result, detail = ("failed" if problems else "done"), "; ".join(problems.values())
            tally.run = replace(tally.run, ended=time.time(), result=result, detail=detail)
            self._counters.ran(tally.run)
            self._awake.set()

    async def _keep(self) -> None:
        """Let the state have what it does not have yet."""
        dirt, over = self._board.take_dirt(), self._dispatcher.settled()
        self._owners.touch(dirt.changed | dirt.removed)
        kept, forgotten = self._owners.take_changes()
        runs = [tally.run for tally in (*over, *self._dispatcher.changed())]
        # As they are now, with their history: what happens meanwhile is kept next time.
        now = {place: one for place in dirt.changed if (one := self._board.get(place)) is not None}
        parts = dirt.parted(_TOGETHER)
        try:
            while parts:
                await self._save(parts[0], now, [] if parts[1:] else runs)
                del parts[0]
        except StateError:
            for part in reversed(parts):
                self._board.put_back(part)
            self._owners.put_back(kept, forgotten)
            for tally in over:
                self._dispatcher.expect(tally)
            raise
        self._dispatcher.told(runs)
        try:
            if kept or forgotten:
                await self._state.answers.save(self._holder, kept, forgotten)
        except StateError:
            self._owners.put_back(kept, forgotten)
            raise
        await self._keep_troubles()
        if self._metering.is_due() or self._is_unmetered:
            self._is_unmetered = await self._state.usage.meter(self._holder)
        if self._forgetting.is_due():
            await self._state.forget(self._holder, time.time() - self._history.total_seconds())

    async def _keep_troubles(self) -> None:
        """Let the state have why lanes are left alone, where it does not know it yet."""
        found = {way: lane.error for way, lane in self._lanes.items() if lane.failures}
        if found != self._troubles:
            await self._state.troubles.keep(self._holder, found)
            self._troubles = found

    async def _save(self, dirt: Dirt, now: Mapping[Place, Placement], runs: Sequence[Run]) -> None:
        changed = [now[place] for place in dirt.changed if place in now]
        if changed or dirt.removed or dirt.history or runs:
            await self._state.save(
                *(self._holder, changed, list(dirt.removed), dirt.history, runs),
                again=dirt.again,
            )
