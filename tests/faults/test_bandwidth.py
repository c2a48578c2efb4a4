"""`--bwlimit` by time of day, as the real command keeps it."""

import time
from datetime import UTC, datetime

import pytest

from lab import images
from tests.support.cli import Done, succeed
from tests.support.glance import Service

MIB = 2**20
STOPPED = "1"
"""A byte a second: what moves at that rate takes a month."""


def at_noon(source: Service, target: Service, timetable: str) -> Done:
    """Run a copy where the clock on the wall says it is about noon."""
    ahead = 12 - datetime.now(UTC).hour
    zone = {"TZ": f"NOON{-ahead:+d}"}
    words = ("livecopy", source, target, "--transfers", 2)
    return succeed(*words, "--bwlimit", timetable, env=zone)


@pytest.mark.parametrize(
    "timetable",
    [
        f"00:00,{STOPPED} 11:00,off 14:30,{STOPPED}",
        f"00:00,{STOPPED} 11:00,100M 14:30,{STOPPED}",
        f"11:00,off 14:30,{STOPPED}",
        f"14:30,off 23:00,{STOPPED} 23:59,off",
    ],
    ids=["unlimited now", "fast now", "from the morning on", "since last night"],
)
def test_what_holds_now_counts(source: Service, target: Service, timetable: str) -> None:
    image = source.put("image", images.random_bytes(3 * MIB, 1))
    at_noon(source, target, timetable)
    assert target.hash(image) == source.hash(image)


def test_the_rate_of_now_is_kept_by_all_transfers_together(
    source: Service, target: Service
) -> None:
    ids = [source.put(f"image {n}", images.random_bytes(2 * MIB, n)) for n in range(2)]
    begun = time.monotonic()
    at_noon(source, target, "00:00,off 11:00,1M 14:30,off")
    # What may pass at once at the beginning, a quarter of a second's worth, and the last piece.
    assert time.monotonic() - begun > 3.0
    assert [target.hash(image) for image in ids] == [source.hash(image) for image in ids]
