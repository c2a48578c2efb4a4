"""Real services that tests share, started once a session: a plugin for `conftest.py`.

    def pytest_configure(config):
        config.pluginmanager.import_plugin("tests.support.services")

What a test finds in them is empty; what it leaves is taken away before the next one.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from lab import Cloud, Glance, Postgres, Radosgw, Unavailable
from tests.support.accounts import Accounts
from tests.support.glance import Service

_NAMES = ("source", "one", "two", "three")
# As many requests at once as in two processes, each of which takes seconds to start.
ONE_PROCESS: Final[Mapping[str, Any]] = {"processes": 1, "threads": 8}

Fresh = Callable[..., Service]
"""Starts another Glance for one test; takes a name and what `lab.Glance` takes."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that need services."""
    if {"postgres", "cloud", "radosgw"} & set(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.services)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """Skip by name what cannot be installed here."""
    yield from _skip_by_name()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Skip by name what cannot be installed here."""
    yield from _skip_by_name()


def _skip_by_name() -> Generator[None]:
    try:
        yield
    except Unavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Give a PostgreSQL server."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def radosgw() -> Iterator[Radosgw]:
    """Give an S3; it keeps the buckets that tests make in it."""
    with Radosgw() as server:
        yield server


@pytest.fixture
def bucket(radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the name of an empty bucket, and the environment that leads to it."""
    for key, value in radosgw.environment.items():
        monkeypatch.setenv(key, value)
    name = f"test-{uuid4().hex}"
    radosgw.bucket(name)
    return name


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Give a Keystone with two regions; it keeps what tests leave in it."""
    with Cloud(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture(scope="session")
def accounts(cloud: Cloud) -> Accounts:
    """Give the clouds.yaml of the tests: the cloud's own, and whatever accounts tests add."""
    return Accounts(cloud)


@pytest.fixture(scope="session")
def glances(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Service]]:
    """Give four Glances without authentication, by name; not emptied."""
    folder = tmp_path_factory.mktemp("glances")
    with ExitStack() as stack:
        places = {}
        for name in _NAMES:
            server = Glance(folder / name, name=name, postgres=postgres, **ONE_PROCESS)
            stack.callback(server.stop)
            places[name] = Service(server.start(wait=False), postgres)
        for place in places.values():
            place.server.wait_ready()
        yield places
        for place in places.values():
            place.server.ask_to_stop()


@pytest.fixture
def source(glances: Mapping[str, Service]) -> Service:
    """Give an empty Glance to copy from."""
    return _ready(glances["source"])


@pytest.fixture
def targets(glances: Mapping[str, Service]) -> list[Service]:
    """Give three empty Glances to copy to."""
    return [_ready(glances[name]) for name in _NAMES[1:]]


@pytest.fixture
def target(glances: Mapping[str, Service]) -> Service:
    """Give an empty Glance to copy to, the first of `targets`."""
    return _ready(glances["one"])


def _ready(place: Service) -> Service:
    """Mend what the test before left: a stopped server, a paused one, images."""
    place.server.resume()
    place.server.start()
    place.wipe()
    return place


@pytest.fixture
def fresh(postgres: Postgres, tmp_path: Path) -> Iterator[Fresh]:
    """Give a function that starts a Glance with settings of its own."""
    with ExitStack() as stack:

        def start(name: str = "fresh", **options: Any) -> Service:
            options = {**ONE_PROCESS, **options}
            server = Glance(tmp_path / name, name=name, postgres=postgres, **options)
            stack.callback(server.stop)
            return Service(server.start(), postgres)

        yield start
