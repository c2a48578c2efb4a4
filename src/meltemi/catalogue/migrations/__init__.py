"""The history of the catalogue's tables; see `meltemi.revisions`."""

from pathlib import Path
from typing import Final

from meltemi.catalogue.database import Database
from meltemi.errors import CatalogueError
from meltemi.revisions import Revisions

VERSION_TABLE: Final = "catalogue_version"

REVISIONS: Final = Revisions(Path(__file__).parent / "versions", VERSION_TABLE)


def upgrade(url: str) -> tuple[str | None, str]:
    """Give a database the tables that this release works with, or leave it as it is.

    Give the revision that it had, None where it was empty, and the one that it has now. UsageError
    where the URL is none, CatalogueError where the database fails.
    """
    database = Database(url)
    try:
        return REVISIONS.upgrade(database)
    finally:
        database.close()


def current(url: str) -> str | None:
    """Name the revision that a database has; None where it is empty."""
    database = Database(url)
    try:
        with database.reading() as connection:
            return REVISIONS.revision(connection)
    finally:
        database.close()


def demand(database: Database) -> None:
    """Raise CatalogueError where a database lacks what this release works with."""
    with database.reading() as connection:
        found = REVISIONS.revision(connection)
    if found is None or found < REVISIONS.newest:
        state = "has no tables yet" if found is None else f"has the tables of revision {found}"
        raise CatalogueError(
            f"{database.label}: the catalogue {state}: run meltemi db upgrade --database URL"
        )
