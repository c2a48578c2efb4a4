"""The schema's history: upgrades a database to the tables that this release works with.

Revisions are numbered. Each only adds; what nothing uses any more is taken away by a later
release. So processes of the release before go on working with a database that is newer.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from meltemi.catalogue.database import Database
from meltemi.errors import CatalogueError

VERSION_TABLE: Final = "catalogue_version"

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
    config = _config()
    with database.writing(_LOCK) as connection:
        before = _revision(connection)
        if before is not None and before >= _newest(config):
            return before, before
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before, _newest(config)


def demand(database: Database) -> None:
    """Raise CatalogueError where a database lacks what this release works with."""
    with database.reading() as connection:
        found = _revision(connection)
    if found is None or found < _newest(_config()):
        state = "has no tables yet" if found is None else f"has the tables of revision {found}"
        raise CatalogueError(
            f"{database.label}: the catalogue {state}: run meltemi db upgrade --database URL"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _newest(config: Config) -> str:
    [head] = ScriptDirectory.from_config(config).get_heads()
    return head


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()
