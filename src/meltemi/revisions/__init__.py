"""A schema's history: upgrades a database to the tables that this release works with.

Revisions are numbered. Each only adds; what nothing uses any more is taken away by a later
release. So processes of the release before go on working with a database that is newer.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from meltemi.databases import Database

_FOLDER: Final = Path(__file__).parent

_LOCK: Final = 0x6D656C74656D6A
"""Any number, the same for all who upgrade a database."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions in a folder, and the table in which a database keeps which one it has."""

    versions: Path
    table: str

    def upgrade(self, database: Database) -> tuple[str | None, str]:
        """Give a database the tables that this release works with, or leave it as it is.

        Give the revision that it had, None where it was empty, and the one that it has now.
        """
        with database.writing(_LOCK) as connection:
            before, newest = self.revision(connection), self.newest
            if before is not None and before >= newest:
                return before, before
            self._upgrade(connection)
            return before, newest

    def revision(self, connection: Connection) -> str | None:
        """Name the revision that a database has; None where it is empty."""
        if not inspect(connection).has_table(self.table):
            return None
        found: str | None = connection.scalar(text(f"SELECT version_num FROM {self.table}"))  # noqa: S608 - ours
        return found

    @property
    def newest(self) -> str:
        """Name the revision that this release works with."""
        names = (path.stem for path in self.versions.glob("revision_*.py"))
        return max(names).removeprefix("revision_")

    def _upgrade(self, connection: Connection) -> None:
        from alembic import command  # noqa: PLC0415 - slow to import, and needed once in a while
        from alembic.config import Config  # noqa: PLC0415 - the same

        config = Config()
        # A colon or a space may stand in a path; only this parts them from each other.
        config.set_main_option("path_separator", "newline")
        config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
        config.set_main_option("version_locations", str(self.versions).replace("%", "%%"))
        config.attributes["connection"] = connection
        config.attributes["version_table"] = self.table
        command.upgrade(config, "head")
