"""Carrying out what runs have planned: jobs wait until one of their targets has room."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from meltemi.daemon.board import Board
from meltemi.daemon.census import Way
from meltemi.daemon.counters import Counters
from meltemi.daemon.jobs import Job, parted, place_of, removals_of
from meltemi.daemon.lanes import Errand, Lane
from meltemi.daemon.runs import Tally
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.records import Cause, Run
from meltemi.errors import AuthenticationError, MeltemiError
from meltemi.libraries.base import Library
from meltemi.model.placement import Place
from meltemi.model.plan import Action, Plan
from meltemi.model.route import Limits, Route
from meltemi.replication.engine import Engine
from meltemi.replication.limits import Bandwidth, Links
from meltemi.replication.report import Outcome, Reporter, Result

_log: Final = logging.getLogger(__name__)


class Dispatcher:
    """Starts jobs wherever there is room; nothing is queued twice.

    Those of routes with a higher priority come first, then the smallest. All transfers share what
    the `links` bear.
    """

    def __init__(
        self, shelf: Shelf, board: Board, counters: Counters, wake: Callable[[], None]
    ) -> None:
        self._shelf = shelf
        self._board = board
        self._counters = counters
        self._wake = wake
        self._waiting: list[Job] = []
        self._removals: list[Job] = []
        self._tallies: dict[int, Tally] = {}
        self._told: dict[int, Run] = {}
        self._bandwidths: dict[str, tuple[Limits, Bandwidth]] = {}
        self.links = Links()
        self._under_way: dict[asyncio.Task[None], Job] = {}
        self._unwanted: dict[Place, Lane] = {}

    def expect(self, tally: Tally) -> None:
        """Hear of a run whose jobs are to come."""
        self._tallies[tally.run.id] = tally

    def submit(
        self, tally: Tally, plan: Plan, lanes: Mapping[str, Lane], account: str | None = None
    ) -> None:
        """Queue what a plan says, but for what is in hand, or has failed and must wait.

        It is carried out with the `account` of a project where one is given.
        """
        run, route = tally.run.id, next(iter(lanes.values())).route
        fresh = self._with_relayed(list(filter(self._is_free, plan.actions)), lanes)
        removals = removals_of(fresh)
        for action in fresh:
            self._board.in_hand.add(place_of(action))
        for actions in parted(fresh):
            tally.planned([action.subject.target for action in actions])
            self._waiting.append(Job(route, run, actions, lanes, account))
        for removed in removals.values():
            self._removals.append(Job(route, run, tuple(removed), lanes, account))
        tally.bad |= set(plan.errors)
        self._waiting.sort(key=lambda job: (-job.route.priority, job.traffic, job.run))
        self.start()

    def withdraw(self, places: Collection[Place], lanes: Mapping[str, Lane]) -> None:
        """Drop copies that nobody wants any more; those under way are looked at once they end."""
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            kept = tuple(action for action in job.actions if not self._loses(job, action, places))
            if kept:
                self._waiting.append(replace(job, actions=kept))
        for place in places:
            if place in self._board.in_hand:
                self._unwanted[place] = lanes[place.library]

    def _loses(self, job: Job, action: Action, gone: Collection[Place]) -> bool:
        """Drop an action where nobody wants it, or what boots with an image that is dropped."""
        subject = action.subject
        if (place := place_of(action)) in gone:
            self._board.give_up(place)
            self._tallies[job.run].dropped(subject.target)
            return True
        if any(Place(subject.source, one, subject.target) in gone for one in action.needs):
            self._drop(job, action)
            return True
        return False

    def start(self) -> None:
        """Start what can be started; give up what waits for a library that is left alone."""
        if any(not lane.is_open for job in self._waiting for lane in job.lanes.values()):
            self._give_up()
        while job := next(filter(self._has_room, self._waiting), None):
            self._waiting.remove(job)
            self._begin(job, removing=False)
        for job in list(self._removals):
            if self._tallies[job.run].left[job.actions[0].subject.target] <= 0:
                self._removals.remove(job)
                self._begin(job, removing=True)

    def _give_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            kept = tuple(action for action in job.actions if job.lane(action).is_open)
            for action in (one for one in job.actions if one not in kept):
                self._drop(job, action)
            if kept:
                self._waiting.append(replace(job, actions=kept))

    def _has_room(self, job: Job) -> bool:
        return any(job.lane(action).has_room for action in job.actions)

    def settled(self) -> list[Tally]:
        """Give the runs of which nothing is left, and forget them; see `Run`."""
        going = (*self._waiting, *self._removals, *self._under_way.values())
        busy = {job.run for job in going}
        over = [
            tally
            for number, tally in self._tallies.items()
            if tally.run.ended is not None and number not in busy and not any(tally.left.values())
        ]
        for tally in over:
            del self._tallies[tally.run.id]
        return over

    def backlog(self) -> Counter[Way]:
        """Count the actions that have not ended, but for removals."""
        count: Counter[Way] = Counter()
        for tally in self._tallies.values():
            for library, left in tally.left.items():
                count[Way(tally.run.route, library)] += left
        return count

    def changed(self) -> list[Tally]:
        """Give the runs of which something is left, and of which the state does not know all."""
        return [t for t in self._tallies.values() if self._told.get(t.run.id) != t.run]

    def told(self, runs: Iterable[Run]) -> None:
        """Hear what the state knows of runs."""
        self._told.update((run.id, run) for run in runs)
        for number in self._told.keys() - self._tallies.keys():
            del self._told[number]

    async def retire(self, lanes: Collection[Lane]) -> None:
        """Break off, and drop, what goes by some lanes: what is complete stays."""
        gone = {id(lane) for lane in lanes}

        def uses(job: Job) -> bool:
            return any(id(job.lane(action)) in gone for action in job.actions)

        tasks = [task for task, job in self._under_way.items() if uses(job)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for queue in (self._waiting, self._removals):
            for job in filter(uses, list(queue)):
                queue.remove(job)
                for action in job.actions:
                    self._board.in_hand.discard(place_of(action))
                    if queue is self._waiting:
                        self._tallies[job.run].dropped(action.subject.target)

    def _is_free(self, action: Action) -> bool:
        place = place_of(action)
        return place not in self._board.in_hand and not self._board.waits(place)

    def _with_relayed(self, actions: list[Action], lanes: Mapping[str, Lane]) -> list[Action]:
        """Leave out what comes from a relay that does not get it by these very actions.

        Where another run brings it there, it is looked at again once it has arrived; where that has
        failed, with the next attempt.
        """
        brought = {place_of(action) for action in actions if action.sends}
        late = set[Place]()
        for action in actions:
            place = place_of(action)
            relay = place._replace(library=action.sender)
            if action.relay is None or not action.relay.is_coming or relay in brought:
                continue
            late.add(place)
            if not self._board.waits(relay):
                lanes[place.library].leave(Errand(Cause.RETURN, frozenset({place.image})))
        return [action for action in actions if place_of(action) not in late]

    def _drop(self, job: Job, action: Action) -> None:
        lane = job.lane(action)
        why = "paused" if lane.is_paused else lane.error
        self._board.in_hand.discard(place_of(action))
        self._board.defer(place_of(action), why)
        self._tallies[job.run].dropped(action.subject.target)
        lane.leave(Errand(Cause.RETURN))

    def _begin(self, job: Job, *, removing: bool) -> None:
        for action in job.actions:
            job.lane(action).take(0 if removing else 1)
        task = asyncio.create_task(self._carry_out(job, removing=removing))
        self._under_way[task] = job
        task.add_done_callback(self._under_way.pop)

    async def _carry_out(self, job: Job, *, removing: bool) -> None:
        hearing = _Hearing(
            self._board, job, self._counters, partial(self._ended, job, removing=removing)
        )
        failed = removing and self._went_wrong(job)
        try:
            engine = self._engine_of(job, hearing, await self._libraries(job))
            await engine.run(Plan(job.actions), failed=failed)
        except MeltemiError as error:
            hearing.fail_rest(error)
        except Exception:  # noqa: BLE001 - logged; the daemon goes on
            _log.exception("route %s: a defect", job.route.name)
            hearing.fail_rest(MeltemiError("a defect in Meltemi: the log of the daemon says more"))
        finally:
            for action in hearing.left:  # where it was broken off
                self._board.in_hand.discard(place_of(action))
                self._board.broken_off(action)
                if not removing:
                    job.lane(action).take(-1)
                    self._tallies[job.run].dropped(action.subject.target)
            for place in map(place_of, job.actions):
                if (lane := self._unwanted.pop(place, None)) is not None:
                    lane.leave(Errand(Cause.RETURN, frozenset({place.image})))

    def _went_wrong(self, job: Job) -> bool:
        return job.actions[0].subject.target in self._tallies[job.run].bad

    async def _libraries(self, job: Job) -> dict[str, Library]:
        names = {
            name for a in job.actions for name in (a.subject.source, a.sender, a.subject.target)
        }
        choosing = job.route.choosing
        owned = choosing.owned if choosing is not None else ()
        return {
            name: await self._shelf.get(name, job.account if name in owned else None)
            for name in sorted(names)
        }

    def _engine_of(self, job: Job, hearing: Reporter, libraries: Mapping[str, Library]) -> Engine:
        route = job.route
        bandwidth = self._bandwidth_of(route)
        return Engine(
            libraries,
            hearing,
            limits=route.limits,
            max_delete=route.policy.max_delete,
            slots={name: lane.slot for name, lane in job.lanes.items()},
            bandwidth=bandwidth,
            links=self.links,
        )

    def _bandwidth_of(self, route: Route) -> Bandwidth:
        """Give what all transfers of a route share; one that was changed starts anew."""
        if (kept := self._bandwidths.get(route.name)) is None or kept[0] != route.limits:
            kept = route.limits, Bandwidth(route.limits.bandwidth)
            self._bandwidths[route.name] = kept
        return kept[1]

    def _ended(self, job: Job, outcome: Outcome, *, removing: bool) -> None:
        """Take note of how an action ended, and make room."""
        lane, error = job.lane(outcome.action), outcome.error
        self._board.finished(outcome, job.run)
        self._counters.acted(job.route.name, lane.library, outcome.result)
        if not removing:
            lane.take(-1)
            self._tallies[job.run].finished(outcome)
        if job.account is not None and isinstance(error, AuthenticationError):
            pass  # one owner's trouble is not that of the others
        elif error is not None and error.library is not None:
            failed = job.lanes.get(error.library)
            for one in job.lanes.values() if failed is None else (failed,):
                one.fail(str(error), at_work=True)
        elif error is not None or outcome.result is Result.DONE:
            lane.succeed()  # what one image failed of is not the library's
        self._wake()


class _Hearing(Reporter):
    """Hears of one job as it goes; gives each image out of hand once nothing of it is left."""

    def __init__(
        self, board: Board, job: Job, counters: Counters, ended: Callable[[Outcome], None]
    ) -> None:
        self._board = board
        self._counters = counters
        self._route = job.route.name
        self._ended = ended
        self.left = list(job.actions)

    def started(self, action: Action) -> None:
        """Tell the board."""
        self._board.started(action)

    def moved(self, action: Action, count: int) -> None:
        """Tell the board; what an attempt that starts anew has moved stays counted."""
        self._board.moved(action, count)
        self._counters.moved(self._route, action.subject.target, max(count, 0))

    def verifying(self, action: Action) -> None:
        """Tell the board."""
        self._board.verifying(action)

    def finished(self, outcome: Outcome) -> None:
        """Tell the dispatcher, then let others have the image."""
        self.left = [action for action in self.left if action is not outcome.action]
        self._ended(outcome)
        place = place_of(outcome.action)
        if place not in map(place_of, self.left):
            self._board.in_hand.discard(place)

    def fail_rest(self, error: MeltemiError) -> None:
        """Let every action that has not ended fail."""
        for action in list(self.left):
            self.finished(Outcome(action, Result.FAILED, str(error), action.target_id, error=error))
