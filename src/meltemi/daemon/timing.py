"""When the routes of a configuration are to be looked at, whatever the clock does."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from meltemi.model.schedule import Schedule


class Timer:
    """Tells when a schedule is due.

    Intervals are counted by a clock that nobody sets. Times of a cron expression that pass at once,
    as when the clock is set forward, count as one; when it is set back, they come again.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._schedule = schedule
        self._monotonic = monotonic
        self._now = now
        self._started = monotonic()
        self._looked = now()

    def is_due(self) -> bool:
        """Say whether it has become due since this was asked last."""
        moment, looked = self._now(), self._looked
        self._looked = moment
        if self._schedule.interval is None:
            return self._schedule.fires(looked, moment)
        if self._monotonic() - self._started < self._schedule.interval / timedelta(seconds=1):
            return False
        self._started = self._monotonic()
        return True
