"""Sessions: who is at work on a store, and the leases of those of whom there is one."""

import os
import socket
import time
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from meltemi.chunks.index.database import Database
from meltemi.chunks.index.schema import State, heads, leases, packs, sessions
from meltemi.errors import BusyError, SessionLostError

SILENT_SECONDS: Final = 15 * 60
"""How long a heart may be silent before a collector looks whether it beats at all."""

COLLECTOR: Final = "collector"
"""The lease of the one collector of a store."""


class Sessions:
    """The sessions of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self) -> int:
        """Open a session; give its number, which is higher than any before."""
        holder = f"{socket.gethostname()}/{os.getpid()}"
        with self._database.exclusive() as connection:
            row = insert(sessions).values(seen=time.time(), holder=holder)
            return int(connection.execute(row.returning(sessions.c.number)).scalar_one())

    def beat(self, number: int) -> None:
        """Let a session's heart beat; raise SessionLostError where it was taken for dead."""
        with self._database.exclusive() as connection:
            beats = sessions.c.beats + 1
            change = update(sessions).where(sessions.c.number == number)
            if not connection.execute(change.values(beats=beats, seen=time.time())).rowcount:
                raise lost(number)

    def end(self, number: int) -> None:
        """Close a session: what it was about to bring is not coming any more."""
        with self._database.exclusive() as connection:
            forget(connection, number)

    def silent(self) -> dict[int, int]:
        """Give the sessions that seem dead by the clock, and how often their hearts have beaten."""
        with self._database.reading() as connection:
            now = time.time()
            rows = connection.execute(select(sessions.c.number, sessions.c.beats, sessions.c.seen))
            return {
                number: beats
                for number, beats, seen in rows
                if not 0 <= now - seen <= SILENT_SECONDS
            }

    def bury(self, watched: dict[int, int]) -> list[int]:
        """End those sessions whose hearts have not beaten since they were watched.

        What they were about to bring may have come all the same, unless the index is older than
        that: it is left to the collector, who looks.
        """
        buried = []
        with self._database.exclusive() as connection:
            for number, beats in watched.items():
                same = (sessions.c.number == number) & (sessions.c.beats == beats)
                if connection.scalar(select(sessions.c.number).where(same)) is not None:
                    forget(connection, number, orphaned=True)
                    buried.append(number)
        return buried

    def count(self) -> int:
        """Count the sessions that are open."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(sessions)) or 0

    def lease(self, number: int, name: str = COLLECTOR) -> None:
        """Take a lease for a session; raise BusyError where another one has it."""
        mine = leases.c.name == name
        with self._database.exclusive() as connection:
            holder = connection.execute(
                select(sessions.c.number, sessions.c.holder)
                .join(leases, leases.c.session == sessions.c.number)
                .where(mine)
            ).first()
            if holder is not None and holder[0] != number:
                raise BusyError(
                    f"{self._database.label}: {holder[1]} is at work on it, or died "
                    "less than a quarter of an hour ago; try later"
                )
            connection.execute(delete(leases).where(mine))
            connection.execute(insert(leases).values(name=name, session=number))


def must_live(connection: Connection, number: int, *, leased: bool = False) -> None:
    """Raise SessionLostError where a session, or its lease, has been taken away."""
    query = select(sessions.c.number).where(sessions.c.number == number)
    if leased:
        query = query.join(leases, leases.c.session == sessions.c.number)
        query = query.where(leases.c.name == COLLECTOR)
    if connection.scalar(query) is None:
        raise lost(number)


def newest(connection: Connection) -> int:
    """Give the number of the newest session that lives, or 0."""
    return connection.scalar(select(func.max(sessions.c.number))) or 0


def lost(number: int) -> SessionLostError:
    """Say that a session was taken for dead."""
    return SessionLostError(
        f"session {number} was silent for too long and taken for dead; nothing was published: "
        "put again"
    )


def forget(connection: Connection, number: int, *, orphaned: bool = False) -> None:
    """Delete a session; what it was about to bring is gone, what it brought is nobody's.

    With `orphaned`, what it was about to bring is nobody's, too.
    """
    for table in (packs, heads):
        theirs = table.c.session == number
        coming = theirs & (table.c.state == State.COMING)
        gone: dict[str, object] = {"state": State.GONE, "session": None}
        if table is heads:
            gone["name"] = None
        if not orphaned:
            connection.execute(update(table).where(coming).values(gone))
        connection.execute(update(table).where(theirs).values(session=None))
    connection.execute(delete(leases).where(leases.c.session == number))
    connection.execute(delete(sessions).where(sessions.c.number == number))
