"""What targets are left alone for, in the state: written by the daemon that leads, read by all."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from meltemi.daemon.state.schema import troubles
from meltemi.daemon.state.writing import demand_lease
from meltemi.transactions import Database


class Troubles:
    """Why targets are left alone, by route and target; StateError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> dict[tuple[str, str], str]:
        """Give them all."""
        query = select(troubles.c.route, troubles.c.library, troubles.c.reason)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {(route, library): reason for route, library, reason in rows}

    async def keep(self, holder: str, found: Mapping[tuple[str, str], str]) -> None:
        """Keep these in place of all others; LeaseError where another daemon leads."""
        rows = [
            {"route": route, "library": library, "reason": reason}
            for (route, library), reason in found.items()
        ]

        def write(connection: Connection) -> None:
            demand_lease(connection, holder)
            connection.execute(delete(troubles))
            if rows:
                connection.execute(insert(troubles), rows)

        await self._database.write(write)
