"""Lanes: one for each target of each route, which nothing but its own target holds up."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from meltemi.daemon.backoff import OF_LIBRARIES
from meltemi.daemon.state.records import Cause
from meltemi.model.route import Route

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """Why a lane is to be looked at, and for which images of the source; None is all of them."""

    cause: Cause
    images: frozenset[str] | None = None

    def joined(self, other: "Errand") -> "Errand":
        """Give one errand in place of two; the cause is that of the wider one, or the first."""
        if self.images is None or other.images is None:
            return self if self.images is None else other
        return Errand(self.cause, self.images | other.images)


class Room:
    """Where so many images may be under way at once: a lane, or all that one library bears.

    `load` is how many have been begun, `taken` how many of them have a place.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.load = self.taken = 0

    @property
    def is_free(self) -> bool:
        """Say whether another image may set out."""
        return self.load < self.most


class Gate:
    """Lets images set out as they come, each once there is a place in all its rooms.

    Nobody has a place in one room while he waits for another: who waits for a slow target would
    keep the source's places from all others.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.Future[None], Sequence[Room]]] = []

    @asynccontextmanager
    async def passed(self, rooms: Sequence[Room]) -> AsyncIterator[None]:
        """Wait for a place in each of some rooms, and have it meanwhile."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, rooms))
        self._admit()
        try:
            await turn
            yield
        finally:
            if not turn.cancelled():
                for room in rooms:
                    room.taken -= 1
            self._admit()

    def _admit(self) -> None:
        waiting, self._waiting = self._waiting, []
        for turn, rooms in waiting:
            if turn.cancelled():
                continue
            if all(room.taken < room.most for room in rooms):
                for room in rooms:
                    room.taken += 1
                turn.set_result(None)
            else:
                self._waiting.append((turn, rooms))


@dataclass(slots=True)
class Lane:
    """The way of one route's images to one of its targets.

    Whoever wants it looked at leaves an errand; errands that wait are one. After a failure of the
    library, or of the source, nothing is done until the wait is over. `rooms` are those of its
    libraries that bear only so much, and its own; all lanes that share some share the `gate`.
    `origins` are the identities by which replicas there were seen to know the source; None until
    everything has been looked at. `held` are images under way that are to be looked at again once
    they have arrived. `looked` is when it was looked at last, in seconds since 1970.
    `fails_at_work` says that images could not be brought, though the library may well be read.
    """

    route: Route
    library: str
    rooms: Sequence[Room] = ()
    gate: Gate = field(default_factory=Gate)
    errand: Errand | None = None
    is_looked_at: bool = False
    is_paused: bool = False
    failures: int = 0
    error: str = ""
    fails_at_work: bool = False
    origins: frozenset[str] | None = None
    held: frozenset[str] = frozenset()
    looked: float | None = None
    _until: float = 0.0
    _clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.rooms = (*self.rooms, Room(self.route.limits.transfers))

    def hold(self, in_hand: Callable[[str], bool]) -> None:
        """Put off the part of the errand that is about images under way; take up what no longer is.

        What has changed since their way began is seen once they have arrived.
        """
        free = frozenset(image for image in self.held if not in_hand(image))
        if free:
            self.held -= free
            self.leave(Errand(Cause.EVENT, free))
        if self.errand is not None and self.errand.images is not None:
            held = frozenset(filter(in_hand, self.errand.images))
            self.held |= held
            left = self.errand.images - held
            self.errand = Errand(self.errand.cause, left) if left else None

    def leave(self, errand: Errand) -> None:
        """Leave an errand."""
        self.errand = errand if self.errand is None else self.errand.joined(errand)

    @property
    def is_away(self) -> bool:
        """Say whether the library is left alone for a while, since it failed."""
        return self._clock() < self._until

    @property
    def left_alone(self) -> float:
        """Say for how many seconds the library is left alone yet."""
        return max(self._until - self._clock(), 0.0)

    @property
    def load(self) -> int:
        """Say how many images are under way."""
        return self.rooms[-1].load

    @property
    def is_open(self) -> bool:
        """Say whether transfers may begin."""
        return not (self.is_paused or self.is_away)

    @property
    def has_room(self) -> bool:
        """Say whether another transfer may begin now."""
        return self.is_open and all(room.is_free for room in self.rooms)

    def take(self, images: int) -> None:
        """Take note that images set out, or, where it is negative, that they have arrived."""
        for room in self.rooms:
            room.load += images

    def slot(self) -> AbstractAsyncContextManager[None]:
        """Wait until an image may be under way, and let no more than that be so meanwhile."""
        return self.gate.passed(self.rooms)

    @property
    def is_ready(self) -> bool:
        """Say whether somebody should look at it now."""
        return self.errand is not None and self.is_open and not self.is_looked_at

    def fail(self, error: str, *, at_work: bool = False) -> None:
        """Leave the library alone for a while, longer each time, and then look at everything."""
        if self.is_away:
            return
        self.fails_at_work |= at_work
        if error != self.error:
            told = (self.route.name, self.library, error)
            _log.warning("route %s: %s is left alone for a while: %s", *told)
        self.failures += 1
        self.error = error
        self._until = self._clock() + OF_LIBRARIES.after(self.failures)
        self.leave(Errand(Cause.RETURN))

    def hurry(self) -> None:
        """End the wait after a failure: somebody wants to know now."""
        self._until = self._clock()

    def read(self, *, is_busy: bool) -> None:
        """Take note that the library was read, and whether there is anything to be done there.

        Where it failed at work, work has to show that it does so no more.
        """
        if not (self.fails_at_work and is_busy):
            self.succeed()

    def succeed(self) -> None:
        """Take note that the library does what it should."""
        if self.failures:
            _log.info("route %s: %s answers again", self.route.name, self.library)
        self.failures, self.error, self.fails_at_work = 0, "", False
