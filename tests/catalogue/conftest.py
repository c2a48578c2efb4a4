"""Catalogues to test, on each kind of database."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from lab import Postgres
from meltemi.catalogue.migrations import upgrade
from meltemi.catalogue.sql import SqlCatalogue, open_catalogue


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'region.sqlite'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    name = f"catalogue-{uuid4().hex}"
    postgres.create_database(name)
    return f"{postgres.url}/{name}"


@pytest.fixture
def url(empty: str) -> str:
    """Give the URL of an empty catalogue."""
    upgrade(empty)
    return empty


@pytest.fixture
async def catalogue(url: str) -> AsyncIterator[SqlCatalogue]:
    """Give an empty catalogue."""
    opened = await open_catalogue(url)
    yield opened
    await opened.close()
