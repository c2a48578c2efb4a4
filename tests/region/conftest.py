"""Regions to test, as processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Region
from tests.support.glance import Place


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
