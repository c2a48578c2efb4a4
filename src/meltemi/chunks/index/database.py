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
    create_engine,
    event,
    func,
    literal,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from meltemi.chunks.blob import ID_BYTES
from meltemi.chunks.index import schema
from meltemi.errors import QuotaError, StoreError, UsageError

_LOCK: Final = 0x6D656C74656D69
"""Any number, the same for all writers of a database."""

_BUSY_SECONDS: Final = 120

_FORMS: Final = "give sqlite:////path/to/file or postgresql://user@host/database"


class Database:
    """A database with the index's tables; made where they are missing."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() not in ("sqlite", "postgresql"):
                raise UsageError(f"an index cannot be in {parsed.get_backend_name()}: {_FORMS}")
            if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
                raise UsageError(f"an index in memory would be lost: {_FORMS}")
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            self._sqlite = parsed.get_backend_name() == "sqlite"
            arguments = {"timeout": _BUSY_SECONDS} if self._sqlite else {}
            self._engine = create_engine(parsed, connect_args=arguments, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            # Nothing of it is shown: who knows where a password is.
            raise UsageError(f"that is not the address of an index: {_FORMS}") from error
        self.label = parsed.render_as_string(hide_password=True)
        if self._sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
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
    def reading(self) -> Iterator[Connection]:
        """Give a connection on which every statement stands alone."""
        with self._telling(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """Give a transaction, one at a time over all processes, committed at its end."""
        with self._telling(), self._engine.connect() as connection:
            if self._sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                # Who stops in the middle, or whose host is gone, must not stop all others for good.
                connection.exec_driver_sql(
                    f"SET LOCAL lock_timeout = '{_BUSY_SECONDS}s'; "
                    f"SET LOCAL idle_in_transaction_session_timeout = '{_BUSY_SECONDS // 2}s'; "
                    f"SELECT pg_advisory_xact_lock({_LOCK})"
                )
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

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
        if self._sqlite:
            first = select(literal(1, Integer).label("at")).cte("places", recursive=True)
            after = first.c.at + ID_BYTES
            places = first.union_all(select(after).where(after <= func.length(ids)))
            return column.in_(select(func.substr(ids, places.c.at, ID_BYTES)))
        place = func.generate_series(1, func.length(ids), ID_BYTES).column_valued("place")
        # As an array, so that the planner never thinks of reading the whole table.
        split = select(func.substr(ids, place, ID_BYTES)).scalar_subquery()
        return column == any_(func.array(split))

    def upsert(self, table: Any) -> Any:
        """Give an INSERT that knows ON CONFLICT."""
        return sqlite.insert(table) if self._sqlite else postgresql.insert(table)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            told = str(error.orig).strip().split("\n", maxsplit=1)[0]
            if _is_full(error.orig):
                raise QuotaError(
                    f"{self.label}: the index: its disk is full ({told}): make room there"
                ) from error
            raise StoreError(f"{self.label}: the index: {told}") from error
        except SQLAlchemyError as error:
            raise StoreError(f"{self.label}: the index: {error}") from error


def _is_full(error: object) -> bool:
    """Say whether a database's error comes of a disk without room."""
    return (
        getattr(error, "sqlite_errorname", None) in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
        or getattr(error, "sqlstate", None) == "53100"
    )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # begin only where it is said
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-16384"):
        connection.execute(f"PRAGMA {pragma}")
