"""Which part of the program takes the time of something that runs in one thread."""

import cProfile
import pstats
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from bench.figures import Table

_PARTS: Final = (
    ("database", ("sqlite3", "psycopg", "selectors", "select.epoll", "select.poll")),
    ("SQLAlchemy", ("sqlalchemy",)),
    ("blake3", ("blake3",)),
    ("zstd", ("zstandard", "zstd")),
    ("files", ("posix.", "pathlib", "_io.", "os.py", "fcntl")),
    ("waiting for other threads", ("lock", "threading", "concurrent")),
    ("Meltemi", ("meltemi",)),
)
"""Parts by what the names of their files and functions contain, the first that fits."""


def shares(title: str, work: Callable[[], object]) -> Table:
    """Do something; give which part took how much of it. Profiling slows Python's part down."""
    profiler = cProfile.Profile()
    profiler.runcall(work)
    found: dict[str, float] = defaultdict(float)
    # Typeshed does not know what pstats keeps.
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, object]]
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    for (file, _, function), (_, _, own, _, _) in stats.items():
        found[_part(f"{file} {function}")] += own
    total = sum(found.values())
    rows = [
        [part, f"{own:.2f}", f"{own / total:.0%}"]
        for part, own in sorted(found.items(), key=lambda one: -one[1])
    ]
    about = "By the profiler, which makes Python's part look larger than it is."
    return Table(title, ["part", "seconds", "share"], rows, about)


def _part(name: str) -> str:
    for part, marks in _PARTS:
        if any(mark in name for mark in marks):
            return part
    return "the rest of Python"
