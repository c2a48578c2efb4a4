"""Bandwidth: token buckets whose rates follow timetables, of routes and of links."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from meltemi.model.route import Link
from meltemi.model.units import bandwidth_at

_BURST_SECONDS = 0.25
_LONGEST_SLEEP = 1.0
"""Seconds after which a waiting transfer looks at the timetable again."""

_MINUTES_AN_HOUR = 60


class Throttle(Protocol):
    """Says when bytes may pass."""

    async def spend(self, count: int) -> None:
        """Wait until `count` bytes may pass."""


class Bandwidth:
    """Shares a number of bytes a second among all transfers that spend from it.

    `timetable` is as in `Limits`; the local time of day decides. Empty means no limit. It may be
    changed at any time.
    """

    def __init__(
        self,
        timetable: tuple[tuple[int, int | None], ...] = (),
        *,
        today: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.timetable = timetable
        self._today = today
        self._free = 0.0
        self._at = time.monotonic()

    async def spend(self, count: int) -> None:
        """Wait until `count` bytes may pass; what waits is served in any order."""
        if not self.timetable:
            return
        while (rate := self._rate()) is not None:
            now = time.monotonic()
            self._free = min(self._free + (now - self._at) * rate, rate * _BURST_SECONDS)
            self._at = now
            if self._free >= 0:
                self._free -= count
                return
            await asyncio.sleep(min(-self._free / rate, _LONGEST_SLEEP))
        self._free, self._at = 0.0, time.monotonic()

    def _rate(self) -> int | None:
        moment = self._today()
        return bandwidth_at(self.timetable, moment.hour * _MINUTES_AN_HOUR + moment.minute)


class Jointly:
    """Several throttles that all bytes have to pass."""

    def __init__(self, throttles: Sequence[Throttle]) -> None:
        self._throttles = throttles

    async def spend(self, count: int) -> None:
        """Wait until `count` bytes may pass all of them."""
        for throttle in self._throttles:
            await throttle.spend(count)


class Links:
    """The links between libraries, each with one bandwidth for all that crosses it."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._links: dict[str, tuple[Link, Bandwidth]] = {}
        self.follow(links)

    def follow(self, links: Iterable[Link]) -> None:
        """Go on with other links; what is under way has the new bandwidth of its links at once."""
        new = {link.name: link for link in links}
        for name, (_, bandwidth) in self._links.items():
            bandwidth.timetable = new[name].bandwidth if name in new else ()
        kept = {name: bandwidth for name, (_, bandwidth) in self._links.items()}
        self._links = {
            name: (link, kept.get(name) or Bandwidth(link.bandwidth)) for name, link in new.items()
        }

    def beside(self, library: str, others: Iterable[str]) -> list[Bandwidth]:
        """Give the links at the side of a library that lie between it and any of the others."""
        far = set(others)
        return [
            bandwidth
            for link, bandwidth in self._links.values()
            if library in link.libraries and not far <= link.libraries
        ]
