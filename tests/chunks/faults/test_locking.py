"""Who holds the index's lock and does not let go: nobody waits for that for good."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import text

from lab import Postgres
from meltemi import databases
from meltemi.chunks.index import database as module
from meltemi.chunks.index.database import Database
from meltemi.errors import StoreError

pytestmark = pytest.mark.services


@pytest.fixture
def pair(postgres: Postgres) -> Iterator[tuple[Database, Database]]:
    """Give an index as two processes have it open."""
    url = f"{postgres.url}/{postgres_name(postgres)}"
    first, second = Database(url), Database(url)
    yield first, second
    first.close()
    second.close()


def postgres_name(postgres: Postgres) -> str:
    """Make an empty database; give its name."""
    name = f"locking-{uuid4().hex}"
    postgres.create_database(name)
    return name


def test_who_stops_within_a_transaction_is_cut_off(
    pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_BUSY_SECONDS", 20)
    stopped, other = pair
    with pytest.raises(StoreError), stopped.exclusive(), other.exclusive() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    with stopped.exclusive() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_who_waits_for_too_long_is_told(
    pair: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_BUSY_SECONDS", 1)
    holder, other = pair
    with holder.reading() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({module._LOCK})")
        with pytest.raises(StoreError, match="lock timeout"), other.exclusive():
            pytest.fail("two had the lock")
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({module._LOCK})")
    with other.exclusive():
        pass
