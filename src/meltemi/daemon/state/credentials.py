"""Credentials of owners in the state, as the vault has locked them."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select, update

from meltemi.daemon.state.records import Locked, Request
from meltemi.daemon.state.schema import credentials, requests
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

    async def put(self, locked: Locked, request: Request) -> None:
        """Keep a credential in place of the one before, and have the library looked at."""

        def write(connection: Connection) -> None:
            upsert(self._database, connection, credentials, [asdict(locked)])
            connection.execute(insert(requests), asdict(request))

        await self._database.write(write)

    async def remove(self, owner: str, library: str) -> bool:
        """Forget a credential; say whether there was one."""
        mine = (credentials.c.owner == owner, credentials.c.library == library)
        return await self._database.write(
            lambda c: bool(c.execute(delete(credentials).where(*mine)).rowcount)
        )

    async def relock(self, changed: Sequence[tuple[Locked, str]]) -> None:
        """Keep credentials under another key, but for those that were set anew meanwhile."""

        def write(connection: Connection) -> None:
            for old, secret in changed:
                mine = (credentials.c.owner == old.owner, credentials.c.library == old.library)
                same = credentials.c.secret == old.secret
                connection.execute(update(credentials).where(*mine, same).values(secret=secret))

        await self._database.write(write)
