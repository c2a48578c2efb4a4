"""The schema's history: upgrades a database to the tables that this release works with.

Revisions are numbered. Each only adds; what nothing uses any more is taken away by a later
release. So processes of the release before go on working with a database that is newer.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from meltemi.catalogue.database import Database
from meltemi.errors import CatalogueError

VERSION_TABLE: Final = "catalogue_version"

_FOLDER: Final = Path(__file__).parent

_LOCK: Final = 0x6D656C74656D6A
"""Any number, the same for all who upgrade a database."""


def upgrade(url: str) -> tuple[str | None, str]:
    """Give a database the tables that this release works with, or leave it as it is.

    Give the revision that it had, None where it was empty, and the one that it has now. UsageError
    where the URL is none, CatalogueError where the database fails.
    """
    database = Database(url)
    try:
        return upgrade_database(database)
    finally:
        database.close()


def current(url: str) -> str | None:
    """Name the revision that a database has; None where it is empty."""
    database = Database(url)
    try:
        with database.reading() as connection:
            return _revision(connection)
    finally:
        database.close()


def upgrade_database(database: Database) -> tuple[str | None, str]:
    """Do what `upgrade` does to a database that is open."""
    with database.writing(_LOCK) as connection:
        before = _revision(connection)
        if before is not None and before >= _newest():
            return before, before
        _upgrade(connection)
        return before, _newest()


def demand(database: Database) -> None:
    """Raise CatalogueError where a database lacks what this release works with."""
    with database.reading() as connection:
        found = _revision(connection)
    if found is None or found < _newest():
        state = "has no tables yet" if found is None else f"has the tables of revision {found}"
        raise CatalogueError(
            f"{database.label}: the catalogue {state}: run meltemi db upgrade --database URL"
        )


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - slow to import, and needed once in a while
    from alembic.config import Config  # noqa: PLC0415 - the same

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _newest() -> str:
    names = (path.stem for path in (_FOLDER / "versions").glob("revision_*.py"))
    return max(names).removeprefix("revision_")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - ours
    return found
