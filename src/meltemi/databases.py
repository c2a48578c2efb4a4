"""Databases that a user names by a URL, SQLite or PostgreSQL, and what they fail with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import stamina
from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from meltemi.errors import MeltemiError, QuotaError, RefusedError, UsageError

_BUSY_SECONDS: Final = 120
"""How long a writer waits for another one of the same SQLite file, or for a lock's holder."""

IDLE_SECONDS: Final = 60
"""How long PostgreSQL waits for one who has stopped in a transaction, where nothing is said."""

_PATIENCE: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""How long PostgreSQL's host may be silent, in libpq's words: seconds, and milliseconds."""

FORMS: Final = "give sqlite:////path/to/file or postgresql://user@host/database"


class Database:
    """Transactions on one database.

    `holds` says what is in it, as in "an index"; `error` is what is raised where it fails, with
    what the database said; `full` where its disk is full. Where it does not take what it is given,
    that is a RefusedError. A URL
    that cannot be used is a UsageError. `idle` is for how long PostgreSQL waits for one who has
    stopped in a transaction, in seconds. `pool` says in SQLAlchemy's words how many connections
    are kept.
    """

    def __init__(
        self,
        url: str,
        *,
        holds: str,
        error: type[MeltemiError],
        full: type[MeltemiError] = QuotaError,
        idle: int = IDLE_SECONDS,
        **pool: int,
    ) -> None:
        self._noun = holds.rpartition(" ")[2]
        self._error = error
        self._full = full
        try:
            parsed = _check(make_url(url), holds)
            self.is_sqlite = parsed.get_backend_name() == "sqlite"
            self._engine = create_engine(parsed, pool_pre_ping=True, **_settings(parsed), **pool)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as problem:
            # Nothing of it is shown: who knows where a password is.
            raise UsageError(f"that is not the address of {holds}: {FORMS}") from problem
        # As operators write it, and not with the driver that is chosen here.
        written = parsed.set(drivername=parsed.get_backend_name())
        self.label = written.render_as_string(hide_password=True)
        if self.is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
        else:
            event.listen(self._engine, "do_connect", _connect_to_postgresql)
            event.listen(self._engine, "connect", lambda one, _: _prepare_postgresql(one, idle))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection on which every statement stands alone."""
        with self._telling(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def writing(self, lock: int | None = None) -> Iterator[Connection]:
        """Give a transaction, committed at its end.

        In SQLite there is one at a time over all processes. So there is in PostgreSQL of those
        that name the same `lock`, any number.
        """
        with self._telling(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif lock is not None:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock})")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def insert(self, table: Any) -> Any:
        """Give an INSERT that knows ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

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
                raise self._full(
                    f"{self.label}: the {self._noun}: its disk is full ({told}): make room there"
                ) from error
            kind = RefusedError if isinstance(error, DataError) else self._error
            raise kind(f"{self.label}: the {self._noun}: {told}") from error
        except SQLAlchemyError as error:
            raise self._error(f"{self.label}: the {self._noun}: {error}") from error


def _is_full(error: object) -> bool:
    """Say whether a database's error comes of a disk without room."""
    return (
        getattr(error, "sqlite_errorname", None) in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
        or getattr(error, "sqlstate", None) == "53100"
    )


def _check(url: URL, holds: str) -> URL:
    kind = url.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise UsageError(f"{holds} cannot be in {kind}: {FORMS}")
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise UsageError(f"{holds} in memory would be lost: {FORMS}")
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _settings(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _BUSY_SECONDS}}
    patience = {name: number for name, number in _PATIENCE.items() if name not in url.query}
    return {"connect_args": patience, "isolation_level": "READ COMMITTED"}


def _connect_to_postgresql(
    _dialect: object, _record: object, words: Any, named: dict[str, Any]
) -> object:
    from meltemi.postgresql import Watchful  # noqa: PLC0415 - its driver is for those who use it

    return Watchful.connect(*words, **named)


def _prepare_postgresql(connection: Any, idle: int) -> None:
    """Let nobody wait for ever for one who stopped, or whose host is gone, in a transaction."""
    connection.execute(f"SET lock_timeout = '{_BUSY_SECONDS}s'")
    connection.execute(f"SET idle_in_transaction_session_timeout = '{idle}s'")
    connection.commit()


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")


@stamina.retry(on=_is_busy, attempts=None, timeout=_BUSY_SECONDS, wait_initial=0.01, wait_max=0.5)
def _write_ahead(connection: Any) -> None:
    """Have SQLite write ahead; where another process begins with a new file, it does not wait."""
    connection.execute("PRAGMA journal_mode=WAL")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # begin only where it is said
    _write_ahead(connection)
    for pragma in (
        "synchronous=FULL",
        "cache_size=-4096",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
