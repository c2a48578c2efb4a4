"""What `make bench` measures of a region."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Final

from bench.figures import Case, Suite, output
from bench.region.clones import clones
from bench.region.data import downloads, uploads
from bench.region.footprint import memory, start
from bench.region.profile import profile
from bench.region.requests import metadata
from bench.region.scale import QUICK, Scale
from bench.region.services import services

_CASES: Final = (uploads, downloads, metadata, clones, start, memory, profile)


@contextmanager
def _open(quick: bool) -> Iterator[Mapping[str, Case]]:
    with services(QUICK if quick else Scale()) as started:
        yield {case.__name__: partial(case, started) for case in _CASES}


def _facts() -> Mapping[str, str]:
    libraries = ("aiohttp", "psycopg", "sqlalchemy", "pyfastcdc", "zstandard")
    return {
        "glance": "33.0.0, uWSGI with 2 processes of 4 threads, PostgreSQL, file store",
        "region": "2 workers, the same PostgreSQL, a folder",
        "libraries": ", ".join(f"{name} {version(name)}" for name in libraries),
        "curl": output("curl", "--version").split("\n")[0].partition(" (")[0],
    }


REGION: Final = Suite("region", [case.__name__ for case in _CASES], _open, _facts)
