"""What `make bench` measures of the replicator."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from bench.figures import Case, Suite, output
from bench.replicator.copying import many_small, one_large, peak_memory
from bench.replicator.planning import unchanged
from bench.replicator.scale import QUICK, Scale
from bench.replicator.services import services
from bench.replicator.targets import three_targets

_CASES: Final = (one_large, many_small, three_targets, unchanged, peak_memory)


@contextmanager
def _open(quick: bool) -> Iterator[Mapping[str, Case]]:
    with services("source", "one", "two", "three") as started:
        scale = QUICK if quick else Scale()
        yield {case.__name__: partial(case, started, scale) for case in _CASES}


def _facts() -> Mapping[str, str]:
    return {
        "glance": "33.0.0, uWSGI with 2 processes of 4 threads, PostgreSQL, file store",
        "curl": output("curl", "--version").split("\n")[0],
    }


REPLICATOR: Final = Suite("replicator", [case.__name__ for case in _CASES], _open, _facts)
