"""What is too much for one statement, or for memory."""

from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.schema import State, packs
from meltemi.chunks.index.sessions import Sessions

MANY = 300_000
"""Packs of 9 TiB: no database takes as many parameters at once."""


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
