"""What is too much for one statement, or for memory."""

import tracemalloc

import pytest

from meltemi.chunks import pack as pack_module
from meltemi.chunks.cut import BLOCK, Cut
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.schema import State, packs
from meltemi.chunks.index.sessions import Sessions
from tests.chunks.faults.rig import Rig, block

MANY = 300_000
"""Packs of 9 TiB: no database takes as many parameters at once."""


def test_a_put_remembers_nothing_of_the_chunks_that_are_stored(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of 2 TiB would take 8 GB."""
    monkeypatch.setattr(pack_module, "FULL", 3 * BLOCK)
    there = tracemalloc.Filter(inclusive=True, filename_pattern=pack_module.__file__)
    held = []
    with rig.store.writing(cut=Cut.FIXED, hashes=()) as writer:
        tracemalloc.start()
        try:
            for number in range(60):
                writer.write(block(number))
                found = tracemalloc.take_snapshot().filter_traces([there])
                held.append(len(found.traces))
        finally:
            tracemalloc.stop()
        writer.finish("large")
    assert len(rig.rows(State.LIVE)) > 20
    assert max(held) < 60


def test_any_number_of_packs_is_retired_at_once(index: str) -> None:
    database = Database(index)
    with database.exclusive() as connection:
        living = [{"id": str(number), "state": State.LIVE} for number in range(MANY)]
        connection.execute(packs.insert(), living)
    session = Sessions(database).begin()
    Sessions(database).lease(session)
    collector = CollectionIndex(database, session)
    collector.retire([row.number for row in collector.packs()])
    rows = collector.packs()
    assert {(row.state, row.noted) for row in rows} == {(State.RETIRING, session)}
    assert len(rows) == MANY
    database.close()
