"""Bandwidth: a token bucket whose rate follows a timetable."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from meltemi.model.units import bandwidth_at

_BURST_SECONDS = 0.25
_LONGEST_SLEEP = 1.0
"""Seconds after which a waiting transfer looks at the timetable again."""

_MINUTES_AN_HOUR = 60


class Bandwidth:
    """Shares a number of bytes a second among all transfers that spend from it.

    `timetable` is as in `Limits`; the local time of day decides. Empty means no limit.
    """

    def __init__(
        self,
        timetable: tuple[tuple[int, int | None], ...] = (),
        *,
        today: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._timetable = timetable
        self._today = today
        self._free = 0.0
        self._at = time.monotonic()

    async def spend(self, count: int) -> None:
        """Wait until `count` bytes may pass; what waits is served in any order."""
        if not self._timetable:
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
        return bandwidth_at(self._timetable, moment.hour * _MINUTES_AN_HOUR + moment.minute)
