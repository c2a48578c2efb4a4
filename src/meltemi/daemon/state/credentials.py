"""Credentials of owners in the state, as the vault has locked them."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select, update

from meltemi.daemon.state.records import Act, Locked, Request
from meltemi.daemon.state.rows import act_row
from meltemi.daemon.state.schema import acts, credentials, requests
from meltemi.daemon.state.writing import upsert
from meltemi.transactions import Database


class Credentials:
    """Credentials of owners; every method raises StateError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, *, owner: str | None = None) -> list[Locked]:
        """Give the credentials of a project, or of all, by library and project."""
        query = select(credentials).order_by(credentials.c.library, credentials.c.owner)
        if owner is not None:
            query = query.where(credentials.c.owner == owner)
        rows = await self._database.read(lambda c: c.execute(query).mappings().all())
        return [Locked(**row) for row in rows]

    async def put(self, locked: Locked, request: Request, act: Act) -> None:
        """Keep a credential in place of the one before, and who left it; ask for a look."""

        def write(connection: Connection) -> None:
            upsert(self._database, connection, credentials, [asdict(locked)])
            _tell(connection, request, act)

        await self._database.write(write)

    async def remove(self, owner: str, library: str, request: Request, act: Act) -> bool:
        """Forget a credential, keep who took it, and ask for a look; say whether there was one."""

        def write(connection: Connection) -> bool:
            mine = (credentials.c.owner == owner, credentials.c.library == library)
            was = bool(connection.execute(delete(credentials).where(*mine)).rowcount)
            if was:
                _tell(connection, request, act)
            return was

        return await self._database.write(write)

    async def relock(self, changed: Sequence[tuple[Locked, str]]) -> None:
        """Keep credentials under another key, but for those that were set anew meanwhile."""

        def write(connection: Connection) -> None:
            for old, secret in changed:
                mine = (credentials.c.owner == old.owner, credentials.c.library == old.library)
                same = credentials.c.secret == old.secret
                connection.execute(update(credentials).where(*mine, same).values(secret=secret))

        await self._database.write(write)


def _tell(connection: Connection, request: Request, act: Act) -> None:
    connection.execute(insert(requests), asdict(request))
    connection.execute(insert(acts), act_row(act))
