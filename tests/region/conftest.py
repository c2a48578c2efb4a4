"""Regions to test, as processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Region
from tests.region.borrowing import Pair, peers
from tests.support.glance import Place
from tests.support.proxy import Proxy


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")


@pytest.fixture(scope="module")
def shared_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a region that needs nothing; tests of a module share it and what they leave in it."""
    with Region(tmp_path_factory.mktemp("region")) as server:
        yield Place(server.url)


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """Give a region with two workers, for one test."""
    with Region(tmp_path / "region", settings={"workers": 2}) as server:
        yield server


@pytest.fixture(scope="module")
def shared_pair(shared_region: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Give a region that borrows from the one that a module shares, and is shared as well."""
    folder = tmp_path_factory.mktemp("here")
    with Proxy(shared_region.url) as way, Region(folder, settings=peers(way)) as server:
        yield Pair(shared_region, server, way)


@pytest.fixture
def pair(shared_pair: Pair) -> Pair:
    """Give that region, with nothing in its way."""
    shared_pair.way.fault()
    shared_pair.way.requests.clear()
    return shared_pair


@pytest.fixture
def lone(shared_region: Place, tmp_path: Path) -> Iterator[Pair]:
    """Give a region that borrows, for one test."""
    with Proxy(shared_region.url) as way, Region(tmp_path / "here", settings=peers(way)) as server:
        yield Pair(shared_region, server, way)
