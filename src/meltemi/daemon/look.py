"""A run: one look at a route and some of its targets, which queues what is to be done."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from meltemi.daemon.accounts import Accounts
from meltemi.daemon.board import Board
from meltemi.daemon.lanes import Lane
from meltemi.daemon.listing import OwnersListing, SharedListing
from meltemi.daemon.owners import Heard, Owners, heard
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.records import Run
from meltemi.errors import AuthenticationError, MeltemiError
from meltemi.libraries.base import Library
from meltemi.model.image import Image
from meltemi.model.placement import Place
from meltemi.model.plan import Note, Plan, Standing
from meltemi.model.route import Route
from meltemi.replication.case import Settled
from meltemi.replication.choosing import Chooser
from meltemi.replication.narrowing import MOST, Narrowing, Noting, of_these
from meltemi.replication.relaying import Relaying
from meltemi.replication.run import Libraries, plan_route, with_ways

_log: Final = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 1.0
"""How long targets that were read wait for the others, to share the reading of data, or a relay."""

_SHORT_GRACE_SECONDS: Final = 0.2
"""The same where somebody waits for a few images, and who is too late need not be read again."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found of some targets: the plan, and why others could not be looked at.

    `withdrawn` are copies on their way that nobody wants any more. The plan is carried out with the
    `account` of a project where one is given.
    """

    plan: Plan
    libraries: tuple[str, ...]
    errors: Mapping[str, MeltemiError] = field(default_factory=dict)
    withdrawn: frozenset[Place] = frozenset()
    account: str | None = None


class Look:
    """One look at a route, at all images or some; every target is read by itself.

    Where there is a relay, the others wait for what is seen of it, since they get from it what it
    has. A target on which owners have accounts is read with each of these.
    """

    def __init__(
        self,
        route: Route,
        images: Collection[str] | None,
        *,
        run: Run,
        shelf: Shelf,
        board: Board,
        owners: Owners,
        accounts: Accounts,
        lanes: Mapping[str, Lane],
    ) -> None:
        self._route = route
        self._libraries = run.libraries
        self._images = images
        self._run = run
        self._shelf = shelf
        self._board = board
        self._owners = owners
        self._accounts = accounts
        self._lanes = lanes
        self._seen: set[Place] = set()
        self._refused: set[Place] = set()
        self._relaying: asyncio.Future[Relaying] | None = None

    async def found(self) -> AsyncIterator[Found]:
        """Give what was found, of several targets together where they were read at the same time.

        Raise what keeps the source from being read.
        """
        source = await self._shelf.get(self._route.source)
        narrowing = await self._narrowing(source)
        listing = SharedListing(source)
        owned = self._route.choosing.owned if self._route.choosing else frozenset()
        shared = [name for name in self._libraries if name not in owned]
        seen = listing if narrowing is None else source
        plans = {name: self._plan(name, seen, narrowing) for name in shared}
        plans |= {n: self._plan_owned(n, source, listing) for n in self._libraries if n in owned}
        by_name = {name: asyncio.create_task(plan) for name, plan in plans.items()}
        self._await_relay(by_name)
        tasks = {*by_name.values()}
        is_short = narrowing is not None and self._relaying is None
        hearing = asyncio.create_task(self._hear_owners(listing, narrowing))
        try:
            while tasks:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if tasks:
                    grace = _SHORT_GRACE_SECONDS if is_short else _GRACE_SECONDS
                    more, tasks = await asyncio.wait(tasks, timeout=grace)
                    done |= more
                for one in _together([one for task in done for one in task.result()]):
                    yield one
            await hearing
        finally:
            for task in (*tasks, hearing):
                task.cancel()
            await asyncio.gather(*tasks, hearing, return_exceptions=True)
            await listing.close()

    def _await_relay(self, tasks: Mapping[str, asyncio.Task[list[Found]]]) -> None:
        """Let the others hear of the relay, also where it cannot be read."""
        name = self._route.relay
        if name is None or name not in tasks:
            return
        self._relaying = relaying = asyncio.get_running_loop().create_future()

        def ended(_: object) -> None:
            if not relaying.done():
                relaying.set_result(Relaying(name))

        tasks[name].add_done_callback(ended)

    async def _plan(self, name: str, source: Library, narrowing: Narrowing | None) -> list[Found]:
        """Plan the way to a target; raise what keeps the source from being read."""
        try:
            target = await self._shelf.get(name)
        except MeltemiError as error:
            return [Found(Plan(), (), {name: error})]
        route = replace(self._route, targets=(name,))
        left = {} if narrowing else self._leftovers(name)
        noting = Noting(target, route, left.values())
        try:
            if narrowing is None:
                opened = Libraries({route.source: source, name: noting}, {})
            else:
                known = {name: self._lanes[name].origins or ()}
                opened = await narrowing.at(source, [target], known)
            plan = await plan_route(
                route,
                opened,
                sending=False,
                tell=self._saw,
                reserved=self._is_coming,
                relaying=self._relaying,
            )
            plan = plan if self._images is None else of_these(plan, self._images)
            plan = await self._with_ways(plan, target)
        except MeltemiError as error:
            if error.library not in {name, route.relay or name}:
                raise
            return [Found(Plan(), (), {name: error})]
        if narrowing is None:
            self._lanes[name].origins = noting.origins
            self._board.vanished(_missing(left, noting))
        self._board.unseen(route.name, route.source, [name], self._seen, self._images)
        return [Found(plan, (name,), withdrawn=frozenset(self._withdrawn([name])))]

    async def _with_ways(self, plan: Plan, target: Library) -> Plan:
        """Say of each copy to a target how it goes, from the source or from the relay."""
        source, ends = await self._shelf.get(self._route.source), [target]
        arriving: list[tuple[str, str]] = []
        if self._relaying is not None and any(action.relay for action in plan.actions):
            relay = await asyncio.shield(self._relaying)
            ends.append(await self._shelf.get(relay.name))
            arriving = [(relay.name, image) for image in relay.coming]
        return await with_ways(self._route, plan, source, ends, arriving=arriving)

    async def _plan_owned(self, name: str, source: Library, listing: SharedListing) -> list[Found]:
        """Plan the way to a target with the account of each owner, of their own images alone."""
        await self._shelf.forget(await self._accounts.refresh())
        self._owners.touch_all(self._route.source)
        found: list[Found] = []
        errors: list[MeltemiError] = []
        for owner in self._accounts.owners(name):
            try:
                plan = await self._plan_account(name, owner, source, listing)
            except MeltemiError as error:
                if error.library == self._route.source:
                    raise
                _log.warning("route %s: project %s: %s", self._route.name, owner, error)
                errors.append(error)
                self._seen |= self._board.hold(name, owner, str(error))
                self._owners.disturb(name, owner, isinstance(error, AuthenticationError))
            else:
                self._owners.disturb(name, owner, refused=False)
                found.append(Found(plan, (), account=owner))
        away = [error for error in errors if not isinstance(error, AuthenticationError)]
        if away and not found:
            return [Found(Plan(), (), {name: away[0]})]
        self._board.unseen(self._route.name, self._route.source, [name], self._seen, self._images)
        return [*found, Found(Plan(), (name,), withdrawn=frozenset(self._withdrawn([name])))]

    async def _plan_account(
        self, name: str, owner: str, source: Library, listing: SharedListing
    ) -> Plan:
        """Plan with one project's account; what it may make there is its own, and private."""
        policy = self._route.policy
        policy = replace(
            policy, owners={}, visibility=policy.visibility or "private", members=False
        )
        route = replace(self._route, targets=(name,), policy=policy)
        mine, target = OwnersListing(listing, owner), await self._shelf.get(name, owner)
        left = {p: id_ for p, id_ in self._leftovers(name).items() if self._is_of(p, owner)}
        noting = Noting(target, route, left.values())
        plan = await plan_route(
            route,
            Libraries({route.source: mine, name: noting}, {}),
            sending=False,
            tell=self._saw,
            reserved=self._is_coming,
        )
        self._board.vanished(_missing(left, noting))
        # Another project may have its replicas in the same place.
        kept = (one for one in plan.actions if one.subject.source_id not in mine.others)
        plan = replace(plan, actions=tuple(kept))
        plan = plan if self._images is None else of_these(plan, self._images)
        return await with_ways(route, plan, source, [target])

    def _leftovers(self, name: str) -> dict[Place, str]:
        return self._board.leftovers(self._route.name, self._route.source, name)

    def _is_of(self, place: Place, owner: str) -> bool:
        placement = self._board.get(place)
        return placement is not None and placement.owner == owner

    async def _hear_owners(self, listing: SharedListing, narrowing: Narrowing | None) -> None:
        """Hear what the owners of images have chosen."""
        if self._route.choosing is None:
            return
        chooser = Chooser(self._route.choosing, now=datetime.now(UTC))
        found: dict[str, Heard] = {}
        if narrowing is not None:
            images = narrowing.found
            found |= {i.id: one for i in images if (one := heard(i, chooser)) is not None}
            self._owners.hear(self._route, found, narrowing.images)
            return
        async for page in listing.list_images():
            found |= {i.id: one for i in page if (one := heard(i, chooser)) is not None}
        self._owners.hear(self._route, found)

    def _is_coming(self, image: str, library: str) -> bool:
        return Place(self._route.source, image, library) in self._board.in_hand

    def _withdrawn(self, libraries: Collection[str]) -> Iterator[Place]:
        """Give the copies on their way that nobody has chosen any more."""
        if self._route.choosing is None:
            return
        for place in self._board.in_hand - (self._seen - self._refused):
            asked = self._images is None or place.image in self._images
            placement = self._board.get(place)
            if placement is None or not asked or place.library not in libraries:
                continue
            if placement.route == self._route.name and placement.wanted:
                yield place

    def _saw(self, image: Image, library: str, what: Settled) -> None:
        if self._images is None or image.id in self._images:
            place = Place(self._route.source, image.id, library)
            self._seen.add(place)
            self._board.saw(self._run, place, image, what)
            if self._route.choosing is not None:
                self._note_refusal(place, what)

    def _note_refusal(self, place: Place, what: Settled) -> None:
        notes = [one for one in what if isinstance(one, Note)]
        why = next((one.reason for one in notes if one.standing is Standing.LEFT_OUT), None)
        self._owners.refuse(place, why)
        if why is None:
            self._refused.discard(place)
        else:
            self._refused.add(place)

    async def _narrowing(self, source: Library) -> Narrowing | None:
        """Read what matters at the source; None where listings have to be read.

        Each target is first read whole, which tells by what names replicas there know the source.
        """
        images, choosing = self._images, self._route.choosing
        if images is None or len(images) > MOST:
            return None
        if choosing is not None and choosing.takes_all:
            return None
        if any(self._lanes[name].origins is None for name in self._libraries):
            return None
        narrowing = Narrowing(self._route, frozenset(images))
        return narrowing if await narrowing.read(source, datetime.now(UTC)) else None


def _missing(left: Mapping[Place, str], seen: Noting) -> list[Place]:
    return [place for place, id_ in left.items() if id_ in seen.missing]


def _together(found: Sequence[Found]) -> list[Found]:
    """Make one of what was found of several targets, but for what goes by owners' accounts."""
    apart = [one for one in found if one.account is not None]
    found = [one for one in found if one.account is None]
    plans = [one.plan for one in found]
    in_sync = {key: count for plan in plans for key, count in plan.in_sync.items()}
    plan = Plan(
        tuple(action for plan in plans for action in plan.actions),
        tuple(note for plan in plans for note in plan.notes),
        in_sync,
    )
    libraries = tuple(name for one in found for name in one.libraries)
    errors = {name: error for one in found for name, error in one.errors.items()}
    withdrawn = frozenset(place for one in found for place in one.withdrawn)
    return [*apart, *([Found(plan, libraries, errors, withdrawn)] if found else ())]
