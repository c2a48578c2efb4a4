"""Sizes, durations and bandwidths as people write them.

Suffixes of sizes are binary, as with rclone: 1k, 1K, 1KiB and 1KB all are 1024 bytes. A number
without a suffix is in bytes. Durations need a unit, or several, the greatest first: 1d12h.
"""

import re
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from operator import mul
from typing import Final

_KIB: Final = 1024
_SIZE: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?(?:([kmgt])i?)?b?", re.IGNORECASE)
_SIZE_UNITS: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE_FORMS: Final = "a number of bytes, or one with k, M, G or T such as 512k, 1.5G or 10MiB"

_DURATION: Final = re.compile(
    r"(?:([0-9]{1,9})w)?(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?"
)
_DURATION_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION_FORMS: Final = "numbers with w, d, h, m or s such as 90s, 15m, 12h, 7d or 1d12h"

_TIME: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_BANDWIDTH_FORMS: Final = (
    "a rate per second such as 10M, off for unlimited, or a timetable of them such as "
    "'08:00,512k 12:00,10M 23:00,off'"
)


def parse_size(text: str | int) -> int:
    """Read a number of bytes, fractions rounded down; raise ValueError where it is none."""
    if isinstance(text, int):
        if isinstance(text, bool) or text < 0:
            raise ValueError(f"{text} is not a size; use {_SIZE_FORMS}")
        return text
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size; use {_SIZE_FORMS}")
    number, unit = found.groups(default="")
    return int(Fraction(number) * _SIZE_UNITS[unit.lower()])


def format_size(size: int) -> str:
    """Write a number of bytes for a person, to three digits or so: 512 B, 1.5 GiB."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if round(value, 1) < _KIB:
            break
        value, unit = value / _KIB, larger
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def parse_duration(text: str | int) -> timedelta:
    """Read a span of time; raise ValueError where it is none. Only 0 needs no unit."""
    found = None if isinstance(text, int) else _DURATION.fullmatch(text.strip())
    if found is not None and found.group():
        counts = [int(count) for count in found.groups(default="0")]
        seconds = sum(map(mul, counts, _DURATION_UNITS.values()))
        try:
            return timedelta(seconds=seconds)
        except OverflowError:
            raise ValueError(f"{text!r} is longer than 2 million years") from None
    if str(text).strip() == "0":
        return timedelta(0)
    raise ValueError(f"{text!r} is not a duration; use {_DURATION_FORMS}")


def format_duration(duration: timedelta) -> str:
    """Write a span of time in whole seconds, so that it reads back the same: 1w2d, 90s is 1m30s."""
    if duration < timedelta(0):
        return f"-{format_duration(-duration)}"
    rest = duration // timedelta(seconds=1)
    parts = []
    for unit, seconds in _DURATION_UNITS.items():
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_bandwidth(text: str | int) -> tuple[tuple[int, int | None], ...]:
    """Read a rate or a timetable of rates, in the form of `Limits.bandwidth`.

    A rate alone holds all day; `off` alone gives the empty timetable. Times are HH:MM of a
    24-hour clock and ascend. Raise ValueError where it is none of these.
    """
    words = [str(text)] if isinstance(text, int) else text.split()
    if not words:
        raise ValueError(f"an empty bandwidth; use {_BANDWIDTH_FORMS}")
    if len(words) == 1 and "," not in words[0]:
        rate = _parse_rate(words[0])
        return () if rate is None else ((0, rate),)
    timetable = tuple(_parse_entry(word) for word in words)
    for (earlier, _), (later, _) in pairwise(timetable):
        if later <= earlier:
            raise ValueError(f"the times in {text!r} do not ascend; order them, each one once")
    return timetable


def bandwidth_at(timetable: tuple[tuple[int, int | None], ...], minute_of_day: int) -> int | None:
    """Give the bytes a second allowed at a minute of the day, None for unlimited.

    Before the day's first entry, the last one of the day before is in force.
    """
    rate = timetable[-1][1] if timetable else None
    for start, allowed in timetable:
        if start > minute_of_day:
            break
        rate = allowed
    return rate


def _parse_entry(word: str) -> tuple[int, int | None]:
    time, _, rate = word.partition(",")
    found = _TIME.fullmatch(time)
    if found is None:
        raise ValueError(f"{word!r} does not begin with a time; use {_BANDWIDTH_FORMS}")
    hour, minute = found.groups()
    return int(hour) * 60 + int(minute), _parse_rate(rate)


def _parse_rate(text: str) -> int | None:
    if text.lower() == "off":
        return None
    try:
        rate = parse_size(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a bandwidth; use {_BANDWIDTH_FORMS}") from None
    if rate == 0:
        raise ValueError(f"a bandwidth of {text!r} moves nothing; use off for unlimited")
    return rate
