"""Sizes, durations and bandwidths: what is read, what is refused, what reads back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meltemi.model.units import (
    bandwidth_at,
    format_duration,
    format_size,
    parse_bandwidth,
    parse_duration,
    parse_size,
)

TIMETABLES = st.dictionaries(
    st.integers(0, 1439), st.none() | st.integers(1, 2**40), min_size=1, max_size=5
).map(lambda entries: tuple(sorted(entries.items())))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        (4096, 4096),
        ("4096", 4096),
        ("7B", 7),
        ("512k", 512 * 1024),
        ("512K", 512 * 1024),
        ("1KB", 1024),
        ("1KiB", 1024),
        ("10MiB", 10 * 1024**2),
        ("1.5G", 3 * 2**29),
        (" 2 TiB ", 2**41),
        ("0.3k", 307),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "k", "-1", -1, True, "1P", "1.k", "1e3", "1,5G", "1 0", "\u0661k", "1kk", "9" * 19]
)
def test_what_is_no_size(text: str | int) -> None:
    with pytest.raises(ValueError, match=r"not a size; use a number of bytes, or .* 512k"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (3 * 2**29, "1.5 GiB"),
        (5 * 2**50, "5120.0 TiB"),
    ],
)
def test_sizes_for_a_person(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 2**60))
def test_a_written_size_reads_back_nearly_the_same(size: int) -> None:
    assert abs(parse_size(format_size(size)) - size) <= size * 0.05


@given(st.integers(0, 10**6), st.sampled_from(["k", "KiB", "Mi", "MB", "g", "T"]))
def test_units_multiply(count: int, unit: str) -> None:
    assert parse_size(f"{count}{unit}") == count * parse_size(f"1{unit}")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("1d12h", timedelta(hours=36)),
        ("0", timedelta(0)),
        (0, timedelta(0)),
        ("0s", timedelta(0)),
    ],
)
def test_durations(text: str | int, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "7", 7, True, "-7d", "7 d", "1.5h", "12h1d", "1h1h", "1y"])
def test_what_is_no_duration(text: str | int) -> None:
    with pytest.raises(ValueError, match="not a duration; use numbers with w, d, h, m or s"):
        parse_duration(text)


def test_a_duration_beyond_all_bounds() -> None:
    with pytest.raises(ValueError, match="longer than"):
        parse_duration("999999999w")


@given(st.timedeltas(min_value=timedelta(0)))
def test_a_written_duration_reads_back(duration: timedelta) -> None:
    whole = duration - timedelta(microseconds=duration.microseconds)
    assert parse_duration(format_duration(duration)) == whole


def test_a_negative_duration_is_written_with_its_sign() -> None:
    assert format_duration(timedelta(seconds=-90)) == "-1m30s"


@pytest.mark.parametrize(
    ("text", "timetable"),
    [
        ("10M", ((0, 10 * 2**20),)),
        (1024, ((0, 1024),)),
        ("off", ()),
        ("8:05,off", ((485, None),)),
        (
            "08:00,512k 12:00,10M 23:00,off",
            ((480, 512 * 1024), (720, 10 * 2**20), (1380, None)),
        ),
    ],
)
def test_bandwidths(text: str | int, timetable: tuple[tuple[int, int | None], ...]) -> None:
    assert parse_bandwidth(text) == timetable


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "an empty bandwidth; use a rate"),
        ("fast", "'fast' is not a bandwidth; use a rate"),
        (True, "'True' is not a bandwidth"),
        ("0", "moves nothing; use off"),
        ("10M off", "'10M' does not begin with a time"),
        ("24:00,1M", "'24:00,1M' does not begin with a time"),
        ("08:60,1M", "does not begin with a time"),
        ("08:00,", "'' is not a bandwidth"),
        ("12:00,1M 08:00,off", "do not ascend"),
        ("08:00,1M 8:00,off", "do not ascend"),
    ],
)
def test_what_is_no_bandwidth(text: str | int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_bandwidth(text)


@given(TIMETABLES)
def test_a_written_timetable_reads_back(timetable: tuple[tuple[int, int | None], ...]) -> None:
    text = " ".join(
        f"{minute // 60:02}:{minute % 60:02},{'off' if rate is None else rate}"
        for minute, rate in timetable
    )
    assert parse_bandwidth(text) == timetable


@given(TIMETABLES, st.integers(0, 1439))
def test_the_latest_entry_is_in_force(
    timetable: tuple[tuple[int, int | None], ...], minute: int
) -> None:
    started = [rate for start, rate in timetable if start <= minute]
    yesterday = [rate for _, rate in timetable]
    assert bandwidth_at(timetable, minute) == (started or yesterday)[-1]


def test_no_timetable_is_no_limit() -> None:
    assert bandwidth_at((), 600) is None
