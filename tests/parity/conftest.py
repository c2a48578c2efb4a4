"""The worlds in which services are compared, each started when a test first needs it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from lab import Postgres
from tests.parity.asking import OPEN, get
from tests.parity.worlds import WORLDS, World

Worlds = Callable[[str], World]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")


@pytest.fixture(scope="session")
def worlds(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """Give a function that gives a world by its name."""
    with ExitStack() as stack:
        started: dict[str, World] = {}

        def give(name: str) -> World:
            if name not in started:
                folder = tmp_path_factory.mktemp(name)
                started[name] = stack.enter_context(WORLDS[name](folder, postgres))
            return started[name]

        yield give


@pytest.fixture(scope="session")
def schema(worlds: Worlds) -> Any:
    """Give the schema of an image, as Glance tells it."""
    return json.loads(worlds(OPEN).peers[0].send(get("/v2/schemas/image")).body)
