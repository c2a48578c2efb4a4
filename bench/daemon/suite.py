"""What `make bench` measures of the daemon."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from bench.daemon.reconciliation import TARGETS, reconciliation
from bench.daemon.scale import QUICK, Scale
from bench.figures import Case, Suite
from bench.replicator.services import services

_CASES: Final = (reconciliation,)


@contextmanager
def _open(quick: bool) -> Iterator[Mapping[str, Case]]:
    with services("source", *TARGETS) as started:
        scale = QUICK if quick else Scale()
        yield {case.__name__: partial(case, started, scale) for case in _CASES}


def _facts() -> Mapping[str, str]:
    return {"glance": "33.0.0, uWSGI with 2 processes of 4 threads, PostgreSQL, file store"}


DAEMON: Final = Suite("daemon", [case.__name__ for case in _CASES], _open, _facts)
