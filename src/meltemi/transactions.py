"""Databases beside an event loop: transactions run in threads of their own."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from meltemi import databases
from meltemi.errors import MeltemiError, RefusedError

_T = TypeVar("_T")

_THREADS: Final = 8
"""Transactions of one process in PostgreSQL at once."""

_TURN_SECONDS: Final = 30.0
"""How long work may wait for a thread."""


class Database(databases.Database):
    """Runs work in transactions, in threads of its own.

    `holds` says what is in it, as in "a catalogue"; `error` is what is raised where it fails.
    `idle` is for how long PostgreSQL waits for one who has stopped in a transaction, in seconds.
    SQLite has one thread: it writes one transaction at a time anyway, and reads faster than
    threads could hand over to each other.
    """

    def __init__(
        self, url: str, *, holds: str, error: type[MeltemiError], idle: int = databases.IDLE_SECONDS
    ) -> None:
        super().__init__(
            url, holds=holds, error=error, full=error, idle=idle, pool_size=_THREADS, max_overflow=0
        )
        self._threads = ThreadPoolExecutor(
            1 if self.is_sqlite else _THREADS, thread_name_prefix=self._noun
        )

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run statements of which each stands alone."""

        def read() -> _T:
            with self.reading() as connection:
                return work(connection)

        return await self.run(read)

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """Run a transaction: all of it is kept when this returns, none of it when this raises."""

        def write() -> _T:
            with self.writing() as connection:
                return work(connection)

        return await self.run(write)

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run something in a thread of the database's; an error where none is free for long.

        So nobody waits behind many who all wait for a database that is silent.
        """
        begun = self._threads.submit(work)
        # Which ends nothing that has begun.
        giving_up = asyncio.get_running_loop().call_later(_TURN_SECONDS, begun.cancel)
        try:
            return await asyncio.wrap_future(begun)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            raise self._error(f"{self.label}: the {self._noun}: too much waits for it") from None
        except (OverflowError, UnicodeEncodeError) as error:
            # What SQLite's driver says itself of numbers, and every driver of half characters.
            raise RefusedError(f"{self.label}: the {self._noun} cannot hold it: {error}") from error
        finally:
            giving_up.cancel()

    async def leave(self) -> None:
        """Finish what has begun, and close every connection."""
        await asyncio.to_thread(self._threads.shutdown)
        self.close()


def insert_if_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row, unless one with its key is there; say whether it was inserted.

    Where another transaction inserts it at the same time, its end is waited for.
    """
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(values).on_conflict_do_nothing()
    done = connection.execute(statement, execution_options={"preserve_rowcount": True})
    return bool(done.rowcount)
