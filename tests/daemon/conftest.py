"""The daemon, as a process, against real services."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab import Postgres
from meltemi.daemon.state.state import State, open_state


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")


@pytest.fixture(params=["sqlite", "postgresql"])
async def state(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[State]:
    """Give an empty state in either database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        server.create_database(tmp_path.name)
        url = f"{server.url}/{tmp_path.name}"
    opened = await open_state(url)
    yield opened
    await opened.close()
