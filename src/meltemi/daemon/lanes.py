"""Lanes: one for each target of each route, which nothing but its own target holds up."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from meltemi.daemon.backoff import OF_LIBRARIES
from meltemi.daemon.state.records import Cause
from meltemi.model.route import Route


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


@dataclass(slots=True)
class Lane:
    """The way of one route's images to one of its targets.

    Whoever wants it looked at leaves an errand; errands that wait are one. After a failure of the
    library, or of the source, nothing is done until the wait is over. `origins` are the identities
    by which replicas there were seen to know the source; None until everything has been looked at.
    """

    route: Route
    library: str
    slots: asyncio.Semaphore = field(init=False)
    errand: Errand | None = None
    is_looked_at: bool = False
    is_paused: bool = False
    load: int = 0
    failures: int = 0
    error: str = ""
    origins: frozenset[str] | None = None
    _until: float = 0.0
    _clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.route.limits.transfers)

    def leave(self, errand: Errand) -> None:
        """Leave an errand."""
        self.errand = errand if self.errand is None else self.errand.joined(errand)

    @property
    def is_away(self) -> bool:
        """Say whether the library is left alone for a while, since it failed."""
        return self._clock() < self._until

    @property
    def is_open(self) -> bool:
        """Say whether transfers may begin."""
        return not (self.is_paused or self.is_away)

    @property
    def has_room(self) -> bool:
        """Say whether another transfer may begin now."""
        return self.is_open and self.load < self.route.limits.transfers

    @property
    def is_ready(self) -> bool:
        """Say whether somebody should look at it now."""
        return self.errand is not None and self.is_open and not self.is_looked_at

    def fail(self, error: str) -> None:
        """Leave the library alone for a while, longer each time, and then look at everything."""
        if self.is_away:
            return
        self.failures += 1
        self.error = error
        self._until = self._clock() + OF_LIBRARIES.after(self.failures)
        self.leave(Errand(Cause.RETURN))

    def succeed(self) -> None:
        """Take note that the library answers."""
        self.failures, self.error = 0, ""
