"""Work that waits for the threads of a catalogue."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meltemi import transactions as module
from meltemi.catalogue.database import Database
from meltemi.errors import CatalogueError


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Give one of a single thread."""
    opened = Database(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    yield opened
    await opened.leave()


async def test_what_never_has_its_turn(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()
    done: list[str] = []

    def first() -> str:
        may_end.wait(300)
        return "done"

    slow = asyncio.create_task(database.run(first))
    await asyncio.sleep(0)
    monkeypatch.setattr(module, "_TURN_SECONDS", 0.0)
    with pytest.raises(CatalogueError, match="too much waits for it"):
        await database.run(lambda: done.append("never"))
    may_end.set()
    assert await slow == "done"
    assert done == []


async def test_who_stops_waiting_is_not_refused(database: Database) -> None:
    may_end = threading.Event()
    tasks = [asyncio.create_task(database.run(lambda: may_end.wait(300))) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    may_end.set()
    assert await tasks[0]
