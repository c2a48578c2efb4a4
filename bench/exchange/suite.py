"""What `make bench` measures of the exchange."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Final

from bench.exchange.copies import link
from bench.exchange.loopback import loopback
from bench.exchange.peers import peers
from bench.exchange.scale import QUICK, Scale
from bench.exchange.services import services
from bench.figures import Case, Suite, output

_CASES: Final = (link, loopback, peers)


@contextmanager
def _open(quick: bool) -> Iterator[Mapping[str, Case]]:
    with services(QUICK if quick else Scale()) as started:
        yield {case.__name__: partial(case, started) for case in _CASES}


def _facts() -> Mapping[str, str]:
    libraries = ("aiohttp", "blake3", "sqlalchemy", "zstandard")
    return {
        "images": "Debian 12: a golden image, a server's snapshot, the next build; 3 GiB each",
        "regions": "1 process each, SQLite, a folder",
        "libraries": ", ".join(f"{name} {version(name)}" for name in libraries),
        "curl": output("curl", "--version").split("\n")[0].partition(" (")[0],
    }


EXCHANGE: Final = Suite("exchange", [case.__name__ for case in _CASES], _open, _facts)
