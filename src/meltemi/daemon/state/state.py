"""The state in a database: written by the daemon that leads, read by all."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, text, update

from meltemi.daemon.state.answers import Answers
from meltemi.daemon.state.credentials import Credentials
from meltemi.daemon.state.inbox import Inbox
from meltemi.daemon.state.records import LEADER, Act, Change, Held, Pause, Request, Run
from meltemi.daemon.state.rows import (
    act_row,
    change_of,
    change_row,
    pause_of,
    placement_of,
    placement_row,
    request_of,
    run_of,
    run_row,
)
from meltemi.daemon.state.schema import acts, changes, leases, pauses, placements, requests, runs
from meltemi.daemon.state.troubles import Troubles
from meltemi.daemon.state.usage import Usage, last_metered
from meltemi.daemon.state.views import Views
from meltemi.daemon.state.writing import REVISIONS, batches, demand_lease, upsert
from meltemi.errors import StateError
from meltemi.model.placement import Place, Placement
from meltemi.transactions import Database, insert_if_new

_HEARD: Final = 1000
"""Requests that are heard at once."""

_IDLE_SECONDS: Final = 10
"""How long a daemon that has stopped in a transaction, as where its host is gone, keeps the lease's
row from the others."""


async def open_state(url: str) -> "State":
    """Open the state, with the tables that this release works with.

    UsageError where the URL is none, StateError where the database fails.
    """
    database = Database(url, holds="the state", error=StateError, idle=_IDLE_SECONDS)
    try:
        await database.run(lambda: REVISIONS.upgrade(database))
    except BaseException:
        await database.leave()
        raise
    return State(database)


class State:
    """Placements, their history, runs, requests, pauses, and who leads.

    Every method raises StateError where the database fails. What only the leader writes is written
    with its name, and refused with LeaseError where another one leads by now.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.answers = Answers(database)
        self.credentials = Credentials(database)
        self.views = Views(database)
        self.inbox = Inbox(database)
        self.usage = Usage(database)
        self.troubles = Troubles(database)

    @property
    def label(self) -> str:
        """Name the database for a person, without its password."""
        return self._database.label

    async def close(self) -> None:
        """Finish what has begun, and close every connection."""
        await self._database.leave()

    async def lead(self, holder: str, seconds: float, is_gone: Callable[[str], bool]) -> bool:
        """Take the lease of the leader, or keep it; say whether `holder` has it now.

        It ends so many seconds from now by the database's clock, or with a holder that is known to
        be gone. One that would end much later than that was given before the clock was set back,
        and has ended.
        """

        def take(connection: Connection) -> bool:
            now = _now(connection)
            row = {"name": LEADER, "holder": holder, "until": now + seconds}
            if insert_if_new(connection, leases, row):
                return True
            of_leader = select(leases).where(leases.c.name == LEADER).with_for_update()
            found = connection.execute(of_leader).one()
            holds = now < found.until < now + 2 * seconds and not is_gone(found.holder)
            if holds and found.holder != holder:
                return False
            connection.execute(update(leases).where(leases.c.name == LEADER).values(row))
            return True

        return await self._database.write(take)

    async def resign(self, holder: str) -> None:
        """Give the lease back, so that another one leads at once."""
        mine = and_(leases.c.name == LEADER, leases.c.holder == holder)
        await self._database.write(
            lambda connection: connection.execute(delete(leases).where(mine))
        )

    async def leader(self) -> str | None:
        """Name the daemon that leads; None where nobody does."""

        def look(connection: Connection) -> str | None:
            row = connection.execute(select(leases).where(leases.c.name == LEADER)).first()
            return str(row.holder) if row and row.until > _now(connection) else None

        return await self._database.read(look)

    async def save(
        self,
        holder: str,
        changed: Sequence[Placement],
        removed: Sequence[Place] = (),
        history: Sequence[Change] = (),
        ended: Sequence[Run] = (),
        *,
        again: bool = False,
    ) -> None:
        """Keep what the leader has observed, all of it or nothing.

        Of a history that is kept `again`, since that failed before, what is there already is left
        out: a database that fails may have kept it all the same, and nothing is charged for twice.
        """

        def write(connection: Connection) -> None:
            demand_lease(connection, holder)
            for some in batches([placement_row(one) for one in changed]):
                upsert(self._database, connection, placements, some)
            for place in removed:
                connection.execute(delete(placements).where(_at(place)))
            fresh = history if not again else [c for c in history if not _is_kept(connection, c)]
            for some in batches([change_row(one) for one in fresh]):
                connection.execute(insert(changes), some)
            for run in ended:
                connection.execute(update(runs).where(runs.c.id == run.id).values(run_row(run)))

        await self._database.write(write)

    async def succeed(self, holder: str, since: float) -> list[str]:
        """Name the daemons that have led before, since a moment; runs that they left have ended."""
        lately, others = runs.c.began >= since, runs.c.holder != holder
        end = {"ended": time.time(), "result": "failed", "detail": "its daemon leads no more"}

        def take_over(connection: Connection) -> list[str]:
            demand_lease(connection, holder)
            connection.execute(update(runs).where(lately, runs.c.ended.is_(None)).values(end))
            return list(connection.scalars(select(runs.c.holder).where(lately, others).distinct()))

        return await self._database.write(take_over)

    async def begin(self, run: Run) -> int:
        """Keep a run that begins; give its number."""

        def write(connection: Connection) -> int:
            demand_lease(connection, run.holder)
            row = connection.execute(insert(runs).values(run_row(run)).returning(runs.c.id))
            return int(row.scalar_one())

        return await self._database.write(write)

    async def requests(self) -> dict[int, Request]:
        """Give what has been asked, by number, the oldest first, as much as is heard at once."""
        query = select(requests).order_by(requests.c.id).limit(_HEARD)
        return {row["id"]: request_of(dict(row)) for row in await self._rows(query)}

    async def answered(self, holder: str, numbers: Collection[int]) -> None:
        """Forget what has been asked for, by number.

        Not by the last one: numbers are given before what has them is kept.
        """

        def forget(connection: Connection) -> None:
            demand_lease(connection, holder)
            connection.execute(delete(requests).where(requests.c.id.in_(numbers)))

        await self._database.write(forget)

    async def forget(self, holder: str, before: float) -> None:
        """Forget acts, runs, and changes that are metered, where they are older than a moment."""

        def clear(connection: Connection) -> None:
            demand_lease(connection, holder)
            # The last one stays: SQLite would give its number again.
            metered = changes.c.id < last_metered(connection)
            connection.execute(delete(changes).where(changes.c.at < before, metered))
            connection.execute(delete(runs).where(runs.c.began < before))
            connection.execute(delete(acts).where(acts.c.at < before))

        await self._database.write(clear)

    async def ask(self, request: Request, act: Act | None = None) -> None:
        """Keep a request for the leader, and who made it."""

        def write(connection: Connection) -> None:
            connection.execute(insert(requests), asdict(request))
            _note(connection, act)

        await self._database.write(write)

    async def pause(self, pause: Pause, act: Act | None = None) -> bool:
        """Leave a route or a library alone from now on; say whether it was not so already."""

        def write(connection: Connection) -> bool:
            is_new = insert_if_new(connection, pauses, asdict(pause))
            _note(connection, act)
            return is_new

        return await self._database.write(write)

    async def resume(self, kind: Held, name: str, act: Act | None = None) -> bool:
        """End a pause; say whether there was one."""

        def write(connection: Connection) -> bool:
            mine = and_(pauses.c.kind == kind, pauses.c.name == name)
            was = bool(connection.execute(delete(pauses).where(mine)).rowcount)
            _note(connection, act if was else None)
            return was

        return await self._database.write(write)

    async def note(self, act: Act) -> None:
        """Keep what somebody did, or was refused, that leaves nothing else here."""
        await self._database.write(lambda connection: _note(connection, act))

    async def pauses(self) -> list[Pause]:
        """Give what is paused."""
        query = select(pauses).order_by(pauses.c.kind, pauses.c.name)
        return [pause_of(row) for row in await self._rows(query)]

    async def placements(self, *where: ColumnElement[bool]) -> list[Placement]:
        """Give placements, by image, source and library."""
        columns = placements.c
        query = select(placements).where(*where)
        query = query.order_by(columns.image, columns.source, columns.library)
        return [placement_of(row) for row in await self._rows(query)]

    async def changes(self, *where: ColumnElement[bool], after: int = 0, most: int) -> list[Change]:
        """Give changes after the one with a number, as they came, so many at most."""
        query = select(changes).where(changes.c.id > after, *where)
        return [
            change_of(row) for row in await self._rows(query.order_by(changes.c.id).limit(most))
        ]

    async def last_change(self) -> int:
        """Give the number of the latest change; 0 where there is none."""
        query = select(func.coalesce(func.max(changes.c.id), 0))
        return await self._database.read(lambda connection: int(connection.scalar(query) or 0))

    async def runs(self, *where: ColumnElement[bool], most: int) -> list[Run]:
        """Give runs, the latest first, so many at most."""
        query = select(runs).where(*where).order_by(runs.c.id.desc()).limit(most)
        return [run_of(row) for row in await self._rows(query)]

    async def _rows(self, query: Any) -> Sequence[Any]:
        return await self._database.read(lambda c: c.execute(query).mappings().all())


def _note(connection: Connection, act: Act | None) -> None:
    if act is not None:
        connection.execute(insert(acts), act_row(act))


def _is_kept(connection: Connection, change: Change) -> bool:
    row = change_row(change)
    names = ("at", *Place._fields, "observed", "wanted", "detail")
    same = and_(*(changes.c[name] == row[name] for name in names))
    return connection.execute(select(changes.c.id).where(same).limit(1)).first() is not None


def _at(place: Place) -> ColumnElement[bool]:
    return and_(*(placements.c[name] == value for name, value in place._asdict().items()))


def _now(connection: Connection) -> float:
    """Read the clock that all daemons share."""
    sqlite = connection.dialect.name == "sqlite"
    clock = (
        "(julianday('now') - 2440587.5) * 86400"
        if sqlite
        else "extract(epoch from clock_timestamp())"
    )
    return float(connection.scalar(text(f"SELECT {clock}")) or 0)
