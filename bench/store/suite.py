"""What `make bench` measures of the chunk store."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.figures import Case, Suite
from bench.store.collecting import collection
from bench.store.disks import disks
from bench.store.hashing import random_data
from bench.store.lookups import index
from bench.store.memory import memory
from bench.store.peers import versions
from bench.store.profile import profile
from bench.store.ranges import ranges
from bench.store.remote import remote
from bench.store.scale import QUICK, Bench, Scale

_CASES: Final = (disks, random_data, ranges, remote, index, collection, memory, profile)


@contextmanager
def _open(quick: bool) -> Iterator[Mapping[str, Case]]:
    folder = Path(tempfile.mkdtemp(prefix="meltemi-bench-"))
    try:
        bench = Bench(folder, QUICK if quick else Scale())
        yield {case.__name__: partial(case, bench) for case in _CASES}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _facts() -> Mapping[str, str]:
    libraries = ("blake3", "obstore", "psycopg", "pyfastcdc", "sqlalchemy", "zstandard")
    return {
        **versions(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in libraries),
        "images": "Debian 12: a golden image, a server's snapshot, the next build; 3 GiB each",
    }


STORE: Final = Suite("chunk-store", [case.__name__ for case in _CASES], _open, _facts)
