"""The tables: made, upgraded, demanded, and the same as the code works with."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from lab import Postgres
from meltemi.catalogue.database import Database
from meltemi.catalogue.migrations import VERSION_TABLE, current, upgrade, versions
from meltemi.catalogue.schema import metadata
from meltemi.catalogue.sql import open_catalogue
from meltemi.errors import CatalogueError, UsageError
from tests.catalogue.recording import ADMIN, fresh
from tests.support.forking import FORKING

REVISIONS = Path(versions.__file__).parent.glob("revision_*.py")
NEWEST = max(path.stem.removeprefix("revision_") for path in REVISIONS)


IN_SQLITE = "SELECT name, sql FROM sqlite_master"
IN_POSTGRESQL = """
    SELECT table_name, column_name, data_type, is_nullable, collation_name
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'
    UNION SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


def tables(database: Database) -> set[tuple[object, ...]]:
    """Give all that a database says of its tables, in its own words."""
    with database.reading() as connection:
        rows = connection.execute(text(IN_SQLITE if database.is_sqlite else IN_POSTGRESQL)).all()
    told = {tuple(" ".join(str(word).split()) for word in row) for row in rows}
    return {row for row in told if VERSION_TABLE not in row[0]}


def test_the_revisions_make_what_the_code_works_with(url: str, empty: str) -> None:
    upgraded, made = Database(url), Database(empty)
    with made.writing() as connection:
        metadata.create_all(connection)
    assert tables(upgraded) == tables(made)
    assert len(tables(made)) > len(metadata.tables)
    upgraded.close()
    made.close()


def test_an_upgrade_is_made_once(empty: str) -> None:
    assert current(empty) is None
    assert upgrade(empty) == (None, NEWEST)
    assert current(empty) == NEWEST
    assert upgrade(empty) == (NEWEST, NEWEST)


async def test_an_upgrade_keeps_what_is_there(url: str) -> None:
    catalogue = await open_catalogue(url)
    added = await catalogue.add(fresh())
    await catalogue.close()
    upgrade(url)
    catalogue = await open_catalogue(url)
    assert await catalogue.get(added.image.id, ADMIN) == added
    await catalogue.close()


def test_several_upgrade_at_once(empty: str) -> None:
    with FORKING.Pool(4) as pool:
        done = pool.map(upgrade, [empty] * 4)
    assert sorted(done, key=str) == [(NEWEST, NEWEST)] * 3 + [(None, NEWEST)]


def test_a_new_file_with_which_another_begins_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "new.sqlite"
    other = sqlite3.connect(file, isolation_level=None)
    with closing(other), ThreadPoolExecutor() as pool:
        other.execute("BEGIN IMMEDIATE")  # SQLite lets nobody wait for who holds this
        waiting = pool.submit(upgrade, f"sqlite:///{file}")
        with pytest.raises(FutureTimeoutError):
            waiting.result(timeout=0.5)
        other.execute("ROLLBACK")
        assert waiting.result() == (None, NEWEST)


async def test_a_newer_database_is_taken_as_it_is(url: str) -> None:
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0999'"))
    try:
        assert upgrade(url) == ("0999", "0999")
        catalogue = await open_catalogue(url)
        await catalogue.add(fresh())
        await catalogue.close()
    finally:
        with database.writing() as connection:
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{NEWEST}'"))
        database.close()


async def test_a_file_is_made_by_itself(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.sqlite'}"
    catalogue = await open_catalogue(url)
    await catalogue.close()
    assert current(url) == NEWEST


async def test_postgresql_is_not_upgraded_by_itself(postgres: Postgres) -> None:
    postgres.create_database("not-upgraded")
    url = f"{postgres.url}/not-upgraded"
    with pytest.raises(CatalogueError, match="has no tables yet: run meltemi db upgrade"):
        await open_catalogue(url)
    assert current(url) is None
    upgrade(url)
    postgres.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0000'", database="not-upgraded")
    with pytest.raises(CatalogueError, match="has the tables of revision 0000"):
        await open_catalogue(url)


async def test_databases_that_cannot_be_used(tmp_path: Path) -> None:
    for url in ("mysql://host/db", "sqlite://", "sqlite:///:memory:", "no url", "postgresql://a:b"):
        with pytest.raises(UsageError, match="give sqlite:////path/to/file"):
            await open_catalogue(url)
    with pytest.raises(CatalogueError, match="unable to open database file"):
        await open_catalogue(f"sqlite:///{tmp_path / 'no folder' / 'file'}")
    with pytest.raises(CatalogueError, match=r"refused") as caught:
        await open_catalogue("postgresql://user:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)
    (tmp_path / "text").write_text("not a database, but a text of some length" * 100)
    with pytest.raises(CatalogueError, match="not a database"):
        await open_catalogue(f"sqlite:///{tmp_path / 'text'}")


async def test_a_file_that_is_foreign(tmp_path: Path) -> None:
    """As Glance's own database: nothing of it is changed."""
    path = tmp_path / "glance.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE images (id TEXT)")
    with pytest.raises(CatalogueError, match="images already exists"):
        await open_catalogue(f"sqlite:///{path}")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("images",)]
    connection.close()
