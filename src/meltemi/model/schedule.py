"""When a route runs: at intervals, or at the times of a cron expression."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cronsim import CronSim, CronSimError

from meltemi.model.units import parse_duration

_FORMS: Final = "an interval such as 15m, or a cron expression such as '*/15 8-18 * * mon-fri'"
_FIELDS: Final = 5


@dataclass(frozen=True, slots=True)
class Schedule:
    """An interval, or a cron expression, of which the other is None."""

    interval: timedelta | None = None
    cron: str | None = None

    def fires(self, after: datetime, until: datetime) -> bool:
        """Say whether a time of the cron expression lies after one moment and not after another.

        An interval has no such times.
        """
        if self.cron is None or until <= after:
            return False
        return next(CronSim(self.cron, after), until + timedelta(days=1)) <= until


def parse_schedule(text: str | int) -> Schedule:
    """Read an interval or a cron expression of five fields; raise ValueError where it is neither.

    Fields are those of Debian's cron (`man 5 crontab`), in the local time of the machine.
    """
    words = str(text).split()
    if len(words) == 1:
        try:
            interval = parse_duration(text)
        except ValueError:
            raise ValueError(f"{text!r} is no schedule; use {_FORMS}") from None
        if interval <= timedelta(0):
            raise ValueError("an interval is longer than 0")
        return Schedule(interval=interval)
    if len(words) != _FIELDS:
        raise ValueError(f"{text!r} is no schedule; use {_FORMS}")
    cron = " ".join(words)
    try:
        next(CronSim(cron, datetime(2024, 1, 1)))  # noqa: DTZ001 - any moment will do
    except (CronSimError, StopIteration):
        raise ValueError(f"{text!r} is no schedule; use {_FORMS}") from None
    return Schedule(cron=cron)
