"""What is special about writing the state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table

from meltemi.databases import Database
from meltemi.revisions import Revisions

REVISIONS: Final = Revisions(Path(__file__).parent / "versions", "daemon_version")


def upsert(
    database: Database, connection: Connection, table: Table, rows: Sequence[dict[str, Any]]
) -> None:
    """Insert rows, in place of those with the same keys."""
    keys = [column.name for column in table.primary_key]
    statement = database.insert(table)
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)
