"""What is special about writing the state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, select

from meltemi.daemon.state.records import LEADER
from meltemi.daemon.state.schema import leases
from meltemi.databases import Database
from meltemi.errors import LeaseError
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


def demand_lease(connection: Connection, holder: str) -> None:
    """Raise LeaseError unless a daemon leads; it goes on to lead until the transaction ends."""
    query = select(leases.c.holder).where(leases.c.name == LEADER).with_for_update()
    found = connection.scalar(query)
    if found != holder:
        raise LeaseError(f"another daemon leads by now ({found or 'nobody known'}); this one waits")
