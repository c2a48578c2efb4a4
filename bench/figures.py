"""What a benchmark gives: figures, each with what is wanted of it, and tables."""

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

MIB = 2**20
MB = 10**6
GIB = 2**30

Runs = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Figure:
    """One figure: what was wanted, what was measured, and the runs that it is the median of."""

    name: str
    wanted: str
    measured: float
    unit: str
    met: bool
    runs: Runs


@dataclass(frozen=True)
class Table:
    """A table for the page, with a line that says what it shows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    about: str = ""


Result = Figure | Table
Case = Callable[[], Iterator[Result]]


@dataclass(frozen=True)
class Suite:
    """The cases of one page: `open` prepares what they need, small with True."""

    page: str
    names: Sequence[str]
    open: Callable[[bool], AbstractContextManager[Mapping[str, Case]]]
    facts: Callable[[], Mapping[str, str]] = field(default=dict)


def at_least(name: str, wanted: float, value: float, unit: str, runs: Runs) -> Figure:
    """Give a figure that should not be smaller."""
    return Figure(name, f"at least {wanted:,g}", value, unit, value >= wanted, runs)


def at_most(name: str, wanted: float, value: float, unit: str, runs: Runs) -> Figure:
    """Give a figure that should not be larger."""
    return Figure(name, f"at most {wanted:,g}", value, unit, value <= wanted, runs)


def for_reference(name: str, value: float, unit: str, runs: Runs) -> Figure:
    """Give a figure of which nothing is wanted."""
    return Figure(name, "for reference", value, unit, met=True, runs=runs)


def ratio(upper: Sequence[float], lower: Sequence[float]) -> float:
    """Divide medians."""
    return median(upper) / median(lower)


def seconds(work: Callable[[], object]) -> float:
    """Measure how long something takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def output(*command: str) -> str:
    """Give what a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def machine() -> dict[str, str]:
    """Say when and where this is measured."""
    return {
        "when": datetime.now(UTC).date().isoformat(),
        "commit": output("git", "describe", "--always", "--dirty"),
        "machine": f"{os.cpu_count()} cores, {_processor()}, {platform.machine()}, "
        f"Linux {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - no file
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "unknown"
