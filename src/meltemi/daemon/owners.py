"""What the owners of images have chosen, and what they are told of it, as the leader knows it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from meltemi.daemon.board import Board
from meltemi.daemon.state.records import Answer
from meltemi.model.choosing import REGIONS, status_text
from meltemi.model.image import STATUS, Image
from meltemi.model.placement import Observed, Place, Placement
from meltemi.model.route import Route
from meltemi.replication.choosing import UNKNOWN, Chooser, Wish
from meltemi.replication.guard import HELD_BACK

_WORDS: Final[Mapping[Observed, str]] = {
    Observed.ABSENT: "queued",
    Observed.QUEUED: "queued",
    Observed.COPYING: "copying",
    Observed.VERIFYING: "copying",
    Observed.READY: "ready",
    Observed.STALE: "updating",
    Observed.FAILED: "failed, to be tried again",
    Observed.CONFLICT: "conflict with another image",
}
"""What an owner is told. Reasons may name what is the operator's, and stay with the operator."""

NO_CREDENTIAL: Final = "needs a credential of yours"
BAD_CREDENTIAL: Final = "your credential is refused there"

_LEAVING: Final = "to be removed"
_HELD_BACK: Final = f"{HELD_BACK}: too many at once"
_THERE: Final = frozenset({Observed.READY, Observed.STALE})


class Asked(NamedTuple):
    """An image of a source."""

    source: str
    image: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What a listing says of an image whose owner has chosen, or was told something."""

    name: str | None
    owner: str | None
    status: str
    wishes: tuple[Wish, ...]


def heard(image: Image, chooser: Chooser) -> Heard | None:
    """Give what an image asks for; None where it neither asks nor tells, or has no data yet."""
    if not image.has_data:
        return None
    if REGIONS not in image.properties and STATUS not in image.properties:
        return None
    status = image.properties.get(STATUS, "")
    return Heard(image.name, image.owner, status, chooser.wishes(image))


class Owners:
    """Knows the wishes of all owners, and what is to be answered to each.

    `known` are the answers that the state has, `has_account` says whether a project has an account
    of its own in a library. `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        board: Board,
        known: Iterable[Answer],
        has_account: Callable[[str | None, str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._board = board
        self._has_account = has_account
        self._clock = clock
        self._answers = {Asked(one.source, one.image): one for one in known}
        self._routes: Mapping[str, Route] = {}
        self._heard: dict[str, dict[str, Heard]] = {}
        self._refused: dict[Place, str] = {}
        self._disturbed: set[tuple[str, str | None]] = set()
        self._touched: set[Asked] = set()
        self._changed: set[Asked] = set()
        self._there: dict[Asked, str] = {}
        self.unsaid: dict[Asked, None] = {}
        """Images that do not say yet what is to be answered, those first that wait for longest.

        So nobody who writes over his answers again and again keeps others from theirs.
        """

    def take(self, routes: Iterable[Route]) -> None:
        """Go on with the routes of another configuration."""
        self._routes = {route.name: route for route in routes if route.choosing is not None}
        for name in self._heard.keys() - self._routes.keys():
            del self._heard[name]
        sources = {route.source for route in self._routes.values()}
        self._touched |= {asked for asked in self._answers if asked.source in sources}
        for asked in [one for one in self._answers if one.source not in sources]:
            self._forget(asked)

    def hear(
        self, route: Route, found: Mapping[str, Heard], images: Collection[str] | None = None
    ) -> None:
        """Take what a listing says of some images, or of all."""
        if route.name not in self._routes:
            return
        before = self._heard.get(route.name, {})
        if images is None:
            answered = {asked.image for asked in self._answers if asked.source == route.source}
            images = before.keys() | found.keys() | answered
            self._heard[route.name] = dict(found)
        else:
            rest = {image: one for image, one in before.items() if image not in images}
            fresh = {image: one for image, one in found.items() if image in images}
            self._heard[route.name] = {**rest, **fresh}
        for image in images:
            asked, one = Asked(route.source, image), found.get(image)
            if one is not None:
                self._there[asked] = one.status
            if one is None or one != before.get(image) or one.status != self.answer(asked):
                self._touched.add(asked)

    def refuse(self, place: Place, why: str | None) -> None:
        """Hear why an image that its owner wants is not carried; None where it is."""
        if self._refused.get(place) == why:
            return
        if why is None:
            del self._refused[place]
        else:
            self._refused[place] = why
        self._touched.add(Asked(place.source, place.image))

    def disturb(self, library: str, owner: str, refused: bool) -> None:
        """Hear whether the account of an owner in a library is refused."""
        if refused:
            self._disturbed.add((library, owner))
        else:
            self._disturbed.discard((library, owner))

    def touch_all(self, source: str) -> None:
        """Hear that something about all images of a source may have changed."""
        self._touched |= {asked for asked in self._there if asked.source == source}

    def touch(self, places: Iterable[Place]) -> None:
        """Hear that something about placements has changed."""
        self._touched |= {Asked(place.source, place.image) for place in places}

    def answer(self, asked: Asked) -> str:
        """Give what an image is to say; nothing where it is to say nothing."""
        known = self._answers.get(asked)
        return known.text if known else ""

    def said(self, asked: Asked, status: str, problem: str = "") -> None:
        """Hear what an image says by now, and what keeps it from saying what it should."""
        self._there[asked] = status
        if (known := self._answers.get(asked)) is not None and known.problem != problem:
            self._answers[asked] = replace(known, problem=problem)
            self._changed.add(asked)
        if status == self.answer(asked):
            self.unsaid.pop(asked, None)

    def take_changes(self) -> tuple[list[Answer], list[Asked]]:
        """Work out what has changed; give the answers to be kept, and those to be forgotten."""
        touched, self._touched = self._touched, set()
        for asked in touched:
            self._work_out(asked)
        changed, self._changed = self._changed, set()
        kept = [self._answers[one] for one in changed if one in self._answers]
        return kept, [one for one in changed if one not in self._answers]

    def put_back(self, kept: Iterable[Answer], forgotten: Iterable[Asked]) -> None:
        """Take back what could not be kept."""
        self._changed |= {Asked(one.source, one.image) for one in kept} | set(forgotten)

    def _work_out(self, asked: Asked) -> None:
        routes = [route for route in self._routes.values() if route.source == asked.source]
        if not any(route.name in self._heard for route in routes):
            return
        every = [self._heard.get(route.name, {}).get(asked.image) for route in routes]
        found = [one for one in every if one is not None]
        if not found:
            self._forget(asked, routes)
            return
        parts = self._parts(asked, found, routes)
        named = {target for _, target, _ in parts}
        told = [(name, word) for name, _, word in parts]
        text = status_text([*told, *self._leaving(asked, routes, named)])
        old = self._answers.get(asked)
        new = Answer(*asked, found[0].name, found[0].owner, text, self._clock())
        if old is not None:
            since = old.at if old.text == text else new.at
            new = replace(new, problem=old.problem, at=since)
        if text and new != old:
            self._answers[asked] = new
            self._changed.add(asked)
        elif not text and old is not None:
            del self._answers[asked]
            self._changed.add(asked)
        if self._there.get(asked, "") != text:
            self.unsaid.setdefault(asked)
        else:
            self.unsaid.pop(asked, None)

    def _parts(
        self, asked: Asked, found: Iterable[Heard], routes: Iterable[Route]
    ) -> list[tuple[str, str | None, str]]:
        """Give name, target and word of every wish: what goes somewhere, the refused, the unknown.

        Of several routes, the one counts that knows the name, and carries the image.
        """
        expected = {
            name
            for route in routes
            if route.name not in self._heard and route.choosing is not None
            for name in route.choosing.names
        }
        owned = {t for r in routes if r.choosing is not None for t in r.choosing.owned}
        best: dict[str, tuple[int, str, str | None, str]] = {}
        for wish, owner in ((wish, one.owner) for one in found for wish in one.wishes):
            place = Place(*asked, wish.target) if wish.target else None
            refusal = wish.refusal or (self._refused.get(place) if place else None)
            if wish.target in owned and not self._has_account(owner, wish.target):
                refusal = refusal or NO_CREDENTIAL
            elif wish.target is not None and (wish.target, owner) in self._disturbed:
                refusal = refusal or BAD_CREDENTIAL
            name = wish.name.lower()
            placement = self._board.get(place) if place else None
            if wish.target is None and name in expected:
                refusal = None
            elif placement is not None and placement.wanted and self._is_of_another(placement):
                refusal = None  # it is there, or comes, whatever the owner may choose
            rank = 2 if refusal == UNKNOWN else 1 if refusal else 0
            word = refusal or _word(placement)
            if name not in best or rank < best[name][0]:
                best[name] = rank, wish.name, wish.target, word
        ordered = sorted(best.values(), key=lambda one: one[0])
        return [(name, target, word) for _, name, target, word in ordered]

    def _is_of_another(self, placement: Placement) -> bool:
        """Say whether a route carries an image on which owners do not choose."""
        return placement.route not in self._routes

    def _leaving(
        self, asked: Asked, routes: Iterable[Route], named: set[str | None]
    ) -> list[tuple[str, str]]:
        """Give the targets that nobody asks for any more, where the image still is."""
        left = []
        for library in sorted({target for route in routes for target in route.targets}):
            placement = self._board.get(Place(*asked, library))
            if library in named or placement is None or placement.wanted:
                continue
            if placement.observed in _THERE and placement.route in self._routes:
                held = placement.detail.startswith(HELD_BACK)
                left.append((library, _HELD_BACK if held else _LEAVING))
        return left

    def _forget(self, asked: Asked, routes: Iterable[Route] = ()) -> None:
        if self._answers.pop(asked, None) is not None:
            self._changed.add(asked)
        for target in (target for route in routes for target in route.targets):
            self._refused.pop(Place(*asked, target), None)
        self._there.pop(asked, None)
        self.unsaid.pop(asked, None)


def _word(placement: Placement | None) -> str:
    if placement is None or not placement.wanted:
        return _WORDS[Observed.QUEUED]
    return _WORDS[placement.observed]
