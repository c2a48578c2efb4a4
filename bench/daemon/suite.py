"""What `make bench` measures of the daemon."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from bench.daemon.events import events, telling
from bench.daemon.reconciliation import TARGETS, reconciliation
from bench.daemon.scale import QUICK, Scale
from bench.daemon.status import status
from bench.daemon.watchers import watchers
from bench.figures import Case, Result, Suite
from bench.replicator.services import services


@contextmanager
def _open(quick: bool) -> Iterator[Mapping[str, Case]]:
    scale = QUICK if quick else Scale()
    yield {
        "reconciliation": partial(_reconciliation, scale),
        "events": partial(_events, scale),
        "status": partial(_status, scale),
        "watchers": partial(_watchers, scale),
    }


def _reconciliation(scale: Scale) -> Iterator[Result]:
    with services("source", *TARGETS) as started:
        yield from reconciliation(started, scale)


def _events(scale: Scale) -> Iterator[Result]:
    with telling("source", "target") as (started, bus):
        yield from events(started, bus, scale)


def _status(scale: Scale) -> Iterator[Result]:
    targets = [f"library-{number}" for number in range(scale.libraries)]
    with services("source", *targets) as started:
        yield from status(started, targets, scale)


def _watchers(scale: Scale) -> Iterator[Result]:
    with telling("source", "target") as (started, bus):
        yield from watchers(started, bus, scale)


def _facts() -> Mapping[str, str]:
    return {"glance": "33.0.0, uWSGI with 2 processes of 4 threads, PostgreSQL, file store"}


_NAMES: Final = ("reconciliation", "events", "status", "watchers")
DAEMON: Final = Suite("daemon", _NAMES, _open, _facts)
