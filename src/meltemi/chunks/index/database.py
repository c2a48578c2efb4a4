"""Transactions on the index, in SQLite and PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    any_,
    bindparam,
    func,
    literal,
    select,
)

from meltemi import databases
from meltemi.chunks.blob import ID_BYTES
from meltemi.chunks.index import schema
from meltemi.errors import StoreError

_LOCK: Final = 0x6D656C74656D69
"""Any number, the same for all writers of a database."""


class Database(databases.Database):
    """A database with the index's tables; made where they are missing."""

    def __init__(self, url: str) -> None:
        super().__init__(url, holds="an index", error=StoreError)
        with self.exclusive() as connection:
            schema.metadata.create_all(connection)
            table = schema.facts
            found = connection.scalar(select(table.c.value).where(table.c.name == "schema"))
            if found is None:
                for name, value in (("schema", schema.VERSION), ("published", 0), ("scrub", 1)):
                    connection.execute(table.insert().values(name=name, value=value))
            elif found != schema.VERSION:
                raise StoreError(
                    f"{self.label}: an index of version {found}, not {schema.VERSION}: "
                    "name a new one and rebuild it (meltemi store reindex)"
                )

    @contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """Give a transaction, one at a time over all processes, committed at its end."""
        with self.writing(_LOCK) as connection:
            yield connection

    def bound(self) -> str | None:
        """Say to which store it belongs, as `bind` was told; None as long as it was not."""
        with self.reading() as connection:
            return connection.scalar(select(schema.owner.c.store))

    def bind(self, store: str) -> None:
        """Say to which store it belongs, and that it knows what is in it."""
        with self.exclusive() as connection:
            connection.execute(schema.owner.delete())
            connection.execute(schema.owner.insert().values(store=store))

    def among(self, column: Column[Any]) -> ColumnElement[bool]:
        """Say that a column is one of the ids that stand one after another in the parameter `ids`.

        A parameter for each of them would cost several times what the look-ups themselves do.
        """
        ids = bindparam("ids", type_=LargeBinary)
        if self.is_sqlite:
            first = select(literal(1, Integer).label("at")).cte("places", recursive=True)
            after = first.c.at + ID_BYTES
            places = first.union_all(select(after).where(after <= func.length(ids)))
            return column.in_(select(func.substr(ids, places.c.at, ID_BYTES)))
        place = func.generate_series(1, func.length(ids), ID_BYTES).column_valued("place")
        # As an array, so that the planner never thinks of reading the whole table.
        split = select(func.substr(ids, place, ID_BYTES)).scalar_subquery()
        return column == any_(func.array(split))
