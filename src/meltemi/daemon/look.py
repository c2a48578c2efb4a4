"""A run: one look at a route and some of its targets, which queues what is to be done."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from meltemi.daemon.board import Board
from meltemi.daemon.lanes import Lane
from meltemi.daemon.listing import SharedListing
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.records import Run
from meltemi.errors import MeltemiError
from meltemi.libraries.base import Library
from meltemi.model.image import Image
from meltemi.model.placement import Place
from meltemi.model.plan import Plan
from meltemi.model.route import Route
from meltemi.replication.case import Settled
from meltemi.replication.narrowing import MOST, Narrowing, Noting, of_these
from meltemi.replication.run import Libraries, plan_route, with_ways

_log: Final = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 1.0
"""How long targets that were read wait for the others, to share the reading of data."""

_SHORT_GRACE_SECONDS: Final = 0.2
"""The same where somebody waits for a few images."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found of some targets: the plan, and why others could not be looked at."""

    plan: Plan
    libraries: tuple[str, ...]
    errors: Mapping[str, MeltemiError] = field(default_factory=dict)


class Look:
    """One look at a route, at all images or some; every target is read by itself.

    Where there is a relay, all targets are read together: the others get from it what it has.
    """

    def __init__(
        self,
        route: Route,
        images: Collection[str] | None,
        *,
        run: Run,
        shelf: Shelf,
        board: Board,
        lanes: Mapping[str, Lane],
    ) -> None:
        self._route = route
        self._libraries = run.libraries
        self._images = images
        self._run = run
        self._shelf = shelf
        self._board = board
        self._lanes = lanes
        self._seen: set[Place] = set()

    async def found(self) -> AsyncIterator[Found]:
        """Give what was found, of several targets together where they were read at the same time.

        Raise what keeps the source from being read.
        """
        source = await self._shelf.get(self._route.source)
        narrowing = await self._narrowing(source)
        listing = SharedListing(source)
        groups = [self._libraries] if self._route.relay else [[n] for n in self._libraries]
        tasks = {
            asyncio.create_task(
                self._plan(group, listing if narrowing is None else source, narrowing)
            )
            for group in groups
        }
        try:
            while tasks:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if tasks:
                    grace = _GRACE_SECONDS if narrowing is None else _SHORT_GRACE_SECONDS
                    more, tasks = await asyncio.wait(tasks, timeout=grace)
                    done |= more
                for one in _together([task.result() for task in done]):
                    yield one
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await listing.close()

    async def _plan(
        self, names: Sequence[str], source: Library, narrowing: Narrowing | None
    ) -> Found:
        """Plan the way to some targets; raise what keeps the source from being read."""
        targets: dict[str, Library] = {}
        errors: dict[str, MeltemiError] = {}
        for name in names:
            try:
                targets[name] = await self._shelf.get(name)
            except MeltemiError as error:
                errors[name] = error
        if not targets:
            return Found(Plan(), (), errors)
        route = replace(self._route, targets=tuple(targets))
        noting = {name: Noting(target, route) for name, target in targets.items()}
        try:
            if narrowing is None:
                opened = Libraries({route.source: source, **noting}, {})
            else:
                known = {name: self._lanes[name].origins or () for name in targets}
                opened = await narrowing.at(source, list(targets.values()), known)
            plan = await plan_route(route, opened, sending=False, tell=self._saw)
            plan = plan if self._images is None else of_these(plan, self._images)
            real = await self._shelf.get(route.source)
            plan = await with_ways(route, plan, real, list(targets.values()))
        except MeltemiError as error:
            if error.library == route.source or error.library not in targets:
                raise
            return Found(Plan(), (), {**errors, **dict.fromkeys(targets, error)})
        errors |= plan.errors
        read = tuple(name for name in targets if name not in plan.errors)
        if narrowing is None:
            for name in read:
                self._lanes[name].origins = noting[name].origins
        self._board.unseen(route.name, route.source, read, self._seen, self._images)
        return Found(plan, read, errors)

    def _saw(self, image: Image, library: str, what: Settled) -> None:
        if self._images is None or image.id in self._images:
            place = Place(self._route.source, image.id, library)
            self._seen.add(place)
            self._board.saw(self._run, place, image, what)

    async def _narrowing(self, source: Library) -> Narrowing | None:
        """Read what matters at the source; None where listings have to be read.

        Each target is first read whole, which tells by what names replicas there know the source.
        """
        images = self._images
        if images is None or len(images) > MOST:
            return None
        if any(self._lanes[name].origins is None for name in self._libraries):
            return None
        narrowing = Narrowing(self._route, frozenset(images))
        return narrowing if await narrowing.read(source, datetime.now(UTC)) else None


def _together(found: Sequence[Found]) -> list[Found]:
    """Make one of what was found of several targets."""
    plans = [one.plan for one in found]
    in_sync = {key: count for plan in plans for key, count in plan.in_sync.items()}
    plan = Plan(
        tuple(action for plan in plans for action in plan.actions),
        tuple(note for plan in plans for note in plan.notes),
        in_sync,
    )
    libraries = tuple(name for one in found for name in one.libraries)
    errors = {name: error for one in found for name, error in one.errors.items()}
    return [Found(plan, libraries, errors)] if found else []
