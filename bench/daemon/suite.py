"""What `make bench` measures of the daemon."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from bench.daemon.events import events
from bench.daemon.scale import QUICK, Scale
from bench.figures import Case, Suite

_CASES: Final = (events,)


@contextmanager
def _open(quick: bool) -> Iterator[Mapping[str, Case]]:
    folder = Path(tempfile.mkdtemp(prefix="meltemi-bench-"))
    try:
        scale = QUICK if quick else Scale()
        yield {case.__name__: partial(case, folder, scale) for case in _CASES}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _facts() -> Mapping[str, str]:
    return {"glance": "33.0.0, uWSGI with 2 processes of 4 threads, PostgreSQL, file store"}


DAEMON: Final = Suite("daemon", [case.__name__ for case in _CASES], _open, _facts)
