"""The placements as the daemon that leads sees them: changed here first, kept by the state."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final

from meltemi.daemon.backoff import OF_BUSY, OF_IMAGES
from meltemi.daemon.census import Census
from meltemi.daemon.dirt import Dirt
from meltemi.daemon.jobs import place_of
from meltemi.daemon.state.records import Change, Run
from meltemi.errors import BusyError, StalePlanError
from meltemi.model.image import Image
from meltemi.model.placement import UNDER_WAY, Observed, Place, Placement
from meltemi.model.plan import Action, Kind, Note, Standing
from meltemi.replication.case import Settled
from meltemi.replication.guard import is_removal
from meltemi.replication.report import Outcome, Result

_THERE: Final = frozenset({Observed.READY, Observed.STALE})

_LATEST: Final = OF_IMAGES.longest
"""Seconds: nothing is due later; what seems so was set before the clock was."""


class Board:
    """Every placement, and which of them are in hand: queued for a transfer, or in one.

    `clock` gives seconds since 1970.
    """

    def __init__(self, known: Iterable[Placement], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._all = {placement.place: placement for placement in known}
        self._between: defaultdict[tuple[str, str], set[Place]] = defaultdict(set)
        self._moved: dict[Place, int] = defaultdict(int)
        self._dirt = Dirt()
        self._timed = {place for place, one in self._all.items() if one.due is not None}
        self._released: list[Placement] = []
        self.in_hand: set[Place] = set()
        self.census = Census()
        for placement in self._all.values():
            self._between[placement.place.source, placement.place.library].add(placement.place)
            self.census.changed(None, placement)
        for placement in list(self._all.values()):
            if placement.observed in UNDER_WAY:
                self._put(_interrupted(placement))

    def __iter__(self) -> Iterator[Placement]:
        return iter(self._all.values())

    def get(self, place: Place) -> Placement | None:
        """Give a placement, if there is one."""
        return self._all.get(place)

    def waits(self, place: Place) -> bool:
        """Say whether a placement has failed and its next attempt is not due yet."""
        placement = self._all.get(place)
        return placement is not None and placement.due is not None and not self._is_due(placement)

    def due(self, route: str) -> dict[str, set[str]]:
        """Give the images of a route whose next attempt is due, by library."""
        due: dict[str, set[str]] = defaultdict(set)
        for place in self._timed - self.in_hand:
            placement = self._all[place]
            if placement.route == route and self._is_due(placement):
                due[place.library].add(place.image)
        return due

    def saw(self, run: Run, place: Place, image: Image, what: Settled) -> None:
        """Take note of what is to be done about an image; nothing says that it is ready.

        Of several routes that want it in one place, the first has it until it wants it no more.
        """
        if place in self.in_hand:
            return
        old = self._all.get(place)
        told = _told(what)
        if told is None:
            if old is not None and old.route == run.route:
                self._put(_unwanted(old))
            return
        observed, detail = told
        new = Placement(
            place=place,
            route=old.route if old is not None and old.wanted else run.route,
            wanted=True,
            observed=observed,
            since=self._clock(),
            name=image.name,
            owner=image.owner,
            detail=detail,
            run=run.id,
            size=image.size or 0,
        )
        if old is not None:
            new = replace(new, behind=old.behind, target_id=old.target_id)
            if observed is not Observed.READY:
                new = replace(new, attempts=old.attempts, due=old.due)
            if self.waits(place) and what and isinstance(what[0], Action):
                new = replace(new, observed=old.observed, detail=old.detail)
        if _is_busy(what):
            new = replace(new, due=self._clock() + OF_BUSY.after(1))
        self._put(new)

    def unseen(
        self,
        route: str,
        source: str,
        libraries: Collection[str],
        seen: set[Place],
        images: Collection[str] | None,
    ) -> None:
        """Take note of what a route no longer carries: what a look at it did not see.

        `images` says which ones were looked for, None that all were.
        """
        if images is None:
            asked = {place for library in libraries for place in self._between[source, library]}
        else:
            places = (Place(source, image, library) for image in images for library in libraries)
            asked = {place for place in places if place in self._all}
        for place in asked - seen - self.in_hand:
            placement = self._all[place]
            if placement.route == route:
                self._put(_unwanted(placement))

    def leftovers(self, route: str, source: str, library: str) -> dict[Place, str]:
        """Give what nobody wants of a route any more, and is there still; its id there by place."""
        known = ((place, self._all[place]) for place in self._between[source, library])
        return {
            place: placement.target_id or place.image
            for place, placement in known
            if placement.route == route and _is_left(placement)
        }

    def vanished(self, places: Iterable[Place]) -> None:
        """Take note of leftovers that are not there any more: somebody else took them away."""
        for place in places:
            placement = self._all.get(place)
            if placement is not None and _is_left(placement) and place not in self.in_hand:
                self._put(replace(placement, observed=Observed.ABSENT))

    def drop(self, kept: Collection[tuple[str, str, str]]) -> None:
        """Forget all placements but those of some routes, sources and libraries."""
        for place, placement in list(self._all.items()):
            if (placement.route, place.source, place.library) not in kept:
                self._put(replace(placement, wanted=False, observed=Observed.ABSENT))

    def hurry(self, route: str, library: str, image: str | None) -> None:
        """Let the next attempt of an image, or of all that wait for one, be due now."""
        for place in list(self._timed):
            placement = self._all[place]
            is_asked = placement.route == route and place.library == library
            if is_asked and image in (None, place.image):
                self._put(replace(placement, due=self._clock(), attempts=0))

    def started(self, action: Action) -> None:
        """Take note that work on an action begins."""
        placement = self._all.get(place_of(action))
        if placement is not None and action.sends:
            total = action.traffic
            self._put(replace(placement, observed=Observed.COPYING, detail="", done=0, total=total))

    def moved(self, action: Action, count: int) -> None:
        """Take note of bytes that crossed the wire; negative where an attempt starts anew."""
        place = place_of(action)
        self._moved[place] += max(count, 0)
        if (placement := self._all.get(place)) is not None:
            # Not a change of what is observed: no history of it.
            self._all[place] = replace(placement, done=max(placement.done + count, 0))
            self._dirt.changed.add(place)

    def verifying(self, action: Action) -> None:
        """Take note that what a target stored is held against the source."""
        placement = self._all.get(place_of(action))
        if placement is not None and placement.observed is Observed.COPYING:
            self._put(replace(placement, observed=Observed.VERIFYING))

    def broken_off(self, action: Action) -> None:
        """Take note that work on an action ends, which was not done."""
        placement = self._all.get(place_of(action))
        if placement is not None and placement.observed in UNDER_WAY:
            self._put(_interrupted(placement))

    def finished(self, outcome: Outcome, run: int) -> None:
        """Take note of how an action ended."""
        action = outcome.action
        placement = self._all.get(place_of(action))
        if placement is None or (action.kind is Kind.HIDE and not is_removal(action)):
            return
        self._put(replace(self._ended(placement, outcome), run=run, done=0, total=0))

    def defer(self, place: Place, why: str) -> None:
        """Take note that an image stays queued, since its library is away or paused."""
        placement = self._all.get(place)
        if placement is not None and placement.observed is not Observed.READY:
            self._put(replace(placement, observed=Observed.QUEUED, detail=why))

    def give_up(self, place: Place) -> None:
        """Take an image out of hand that is not to be copied after all, since nobody wants it."""
        self.in_hand.discard(place)
        if (placement := self._all.get(place)) is not None:
            self._put(_unwanted(placement))

    def hold(self, library: str, owner: str, why: str) -> set[Place]:
        """Leave a project's images alone in a library for a while, and give them."""
        held = set()
        for place, placement in list(self._all.items()):
            if place.library != library or placement.owner != owner:
                continue
            held.add(place)
            if place in self.in_hand or self.waits(place) or not placement.wanted:
                continue
            if placement.observed not in (Observed.READY, Observed.STALE):
                attempts = placement.attempts + 1
                due = self._clock() + OF_IMAGES.after(attempts)
                new = replace(placement, observed=Observed.QUEUED, detail=why)
                self._put(replace(new, attempts=attempts, due=due))
        return held

    def take_released(self) -> list[Placement]:
        """Give what routes have ceased to want since; another one may want it."""
        released, self._released = self._released, []
        return released

    def take_dirt(self) -> Dirt:
        """Give what is to be kept, which is clean from now on."""
        dirt, self._dirt = self._dirt, Dirt()
        return dirt

    def put_back(self, dirt: Dirt) -> None:
        """Take back what could not be kept."""
        dirt.changed |= self._dirt.changed
        dirt.removed = (dirt.removed | self._dirt.removed) - self._dirt.changed
        dirt.history += self._dirt.history
        dirt.again = True
        self._dirt = dirt

    def _ended(self, placement: Placement, outcome: Outcome) -> Placement:
        action, error, now = outcome.action, outcome.error, self._clock()
        if outcome.result is Result.DONE:
            removed = action.kind is Kind.DELETE
            observed = Observed.ABSENT if removed else Observed.READY
            return replace(
                placement,
                wanted=placement.wanted and not is_removal(action),
                observed=observed,
                detail=outcome.detail,
                attempts=0,
                due=None,
                target_id=None if removed else outcome.target_id,
            )
        if is_removal(action):
            return replace(placement, detail=outcome.detail)
        if error is not None and error.library is not None:
            return replace(placement, observed=Observed.QUEUED, detail=outcome.detail, due=now)
        if isinstance(error, StalePlanError):
            return replace(placement, observed=Observed.QUEUED, detail=outcome.detail, due=now)
        attempts = placement.attempts + 1
        if isinstance(error, BusyError):
            due = now + OF_BUSY.after(attempts)
            return replace(placement, observed=Observed.QUEUED, detail=outcome.detail, due=due)
        return replace(
            placement,
            observed=Observed.FAILED,
            detail=outcome.detail,
            attempts=attempts,
            due=now + OF_IMAGES.after(attempts),
        )

    def _is_due(self, placement: Placement) -> bool:
        now = self._clock()
        return placement.due is not None and not now < placement.due <= now + _LATEST

    def _put(self, new: Placement) -> None:
        """Take in a placement; what changed goes into its history."""
        now, place, old = self._clock(), new.place, self._all.get(new.place)
        is_behind = new.wanted and new.observed is not Observed.READY
        same = old is not None and (old.wanted, old.observed, old.detail) == (
            *(new.wanted, new.observed, new.detail),
        )
        # At once, since a look does this for every image.
        new = replace(
            new,
            behind=(new.behind or now) if is_behind else None,
            since=old.since if old is not None and old.observed is new.observed else now,
            run=old.run if old is not None and same else new.run,
        )
        if new == old:
            return
        if old is None or _news(old) != _news(new):
            self._dirt.history.append(self._change(new, now))
        if old is not None and old.wanted and not new.wanted:
            self._released.append(old)
        if new.due is None:
            self._timed.discard(place)
        else:
            self._timed.add(place)
        is_kept = new.wanted or new.observed is not Observed.ABSENT
        self.census.changed(old, new if is_kept else None)
        if is_kept:
            self._all[place] = new
            self._between[place.source, place.library].add(place)
            self._dirt.changed.add(place)
            self._dirt.removed.discard(place)
        else:
            self._all.pop(place, None)
            self._between[place.source, place.library].discard(place)
            self._timed.discard(place)
            self._dirt.changed.discard(place)
            self._dirt.removed.add(place)

    def _change(self, new: Placement, now: float) -> Change:
        return Change(
            at=now,
            place=new.place,
            route=new.route,
            wanted=new.wanted,
            observed=new.observed,
            name=new.name,
            owner=new.owner,
            detail=new.detail,
            run=new.run,
            size=new.size,
            moved=self._moved.pop(new.place, 0),
        )


def _told(what: Settled) -> tuple[Observed, str] | None:
    """Say what is observed where a plan says this; None where the image is not carried."""
    for item in what:
        if isinstance(item, Action):
            copies = item.kind is Kind.COPY
            return (Observed.QUEUED if copies else Observed.STALE), item.reason
        if item.standing is Standing.BUSY:
            return Observed.QUEUED, item.reason
        if item.standing is Standing.CONFLICT:
            return Observed.CONFLICT, item.reason
    return None if what else (Observed.READY, "")


def _is_busy(what: Settled) -> bool:
    return any(isinstance(item, Note) and item.standing is Standing.BUSY for item in what)


def _news(placement: Placement) -> tuple[object, ...]:
    """Give that of which there is a history: what is the case, and who is charged for how much."""
    observed = (placement.wanted, placement.observed, placement.detail)
    return (*observed, placement.owner, placement.size)


def _is_left(placement: Placement) -> bool:
    return not placement.wanted and placement.observed in _THERE


def _interrupted(placement: Placement) -> Placement:
    return replace(placement, observed=Observed.QUEUED, detail="interrupted", done=0, total=0)


def _unwanted(placement: Placement) -> Placement:
    """Give the placement of an image that nobody wants any more; it may still be there."""
    observed = placement.observed if placement.observed in _THERE else Observed.ABSENT
    return replace(placement, wanted=False, observed=observed, due=None)
