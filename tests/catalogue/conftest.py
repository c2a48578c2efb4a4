"""Catalogues to test, on each kind of database."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from lab import Postgres
from meltemi.catalogue.migrations import upgrade
from meltemi.catalogue.schema import metadata
from meltemi.catalogue.sql import SqlCatalogue, open_catalogue


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an SQLite file with an empty catalogue, to be copied."""
    path = tmp_path_factory.mktemp("catalogue") / "region.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def made_database(postgres: Postgres) -> str:
    """Give the name of a database with the tables of a catalogue, to be emptied."""
    name = f"catalogue-{uuid4().hex}"
    postgres.create_database(name)
    upgrade(f"{postgres.url}/{name}")
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def kind(request: pytest.FixtureRequest) -> str:
    """Say which database is meant."""
    return str(request.param)


@pytest.fixture
def empty(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database without tables."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    name = f"catalogue-{uuid4().hex}"
    postgres.create_database(name)
    return f"{postgres.url}/{name}"


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty catalogue."""
    if kind == "sqlite":
        copy = shutil.copy(request.getfixturevalue("made_file"), tmp_path)
        return f"sqlite:///{copy}"
    postgres: Postgres = request.getfixturevalue("postgres")
    name: str = request.getfixturevalue("made_database")
    postgres.execute(f"TRUNCATE {', '.join(metadata.tables)}", database=name)
    return f"{postgres.url}/{name}"


@pytest.fixture
async def catalogue(url: str) -> AsyncIterator[SqlCatalogue]:
    """Give an empty catalogue."""
    opened = await open_catalogue(url)
    yield opened
    await opened.close()
