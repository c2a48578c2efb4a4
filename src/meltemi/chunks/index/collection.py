"""What collectors and reindexing do to the index; each step one transaction."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from meltemi.chunks.blob import BlobId
from meltemi.chunks.head import Head
from meltemi.chunks.index.blobs import batches, enter, leave
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.heads import other_name
from meltemi.chunks.index.schema import State, blobs, facts, heads, packs, sessions
from meltemi.chunks.index.sessions import must_live, newest
from meltemi.chunks.pack import Place


class PackRow(NamedTuple):
    """A pack as the index knows it."""

    number: int
    id: str
    state: State
    size: int
    session: int | None
    noted: int | None
    scrubbed: int


class CollectionIndex:
    """The index as a collector sees it, in a session that holds the lease."""

    def __init__(self, database: Database, session: int) -> None:
        self._database = database
        self._session = session

    def packs(self) -> list[PackRow]:
        """Give every pack."""
        return pack_rows(self._database)

    def published(self) -> int:
        """Count the heads that were ever published."""
        with self._database.reading() as connection:
            return _published(connection)

    def living_sessions(self) -> set[int]:
        """Give the sessions that live, this one aside."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(sessions.c.number))) - {self._session}

    def at_home(self, number: int, ids: Sequence[BlobId]) -> dict[BlobId, bool]:
        """Give those blobs that the index knows in this very pack, and whether they are bad."""
        found = {}
        with self._database.reading() as connection:
            for begin in range(0, len(ids), 500):
                batch = ids[begin : begin + 500]
                query = select(blobs.c.id, blobs.c.bad).where(
                    blobs.c.id.in_(batch), blobs.c.pack == number
                )
                found.update({BlobId(bytes(b)): bad for b, bad in connection.execute(query)})
        return found

    def retire(self, old: Collection[int], new: Iterable[tuple[str, Sequence[Place]]] = ()) -> None:
        """Let nobody have hits in the old packs any more; point to the new ones instead."""
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            values = {"state": State.RETIRING, "noted": newest(connection)}
            for batch in batches(old):
                living = packs.c.number.in_(batch) & (packs.c.state == State.LIVE)
                connection.execute(update(packs).where(living).values(values))
            for pack, places in new:
                number = connection.scalar(select(packs.c.number).where(packs.c.id == pack))
                if number is not None:
                    enter(self._database, connection, number, places)

    def revive(self, number: int) -> None:
        """Take a pack back that was to go, since something needs it after all."""
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            retiring = (packs.c.number == number) & (packs.c.state == State.RETIRING)
            back = update(packs).where(retiring)
            connection.execute(back.values(state=State.LIVE, noted=None))

    def dismiss(self, number: int, places: Sequence[Place] | None, published: int) -> bool:
        """Forget a retiring pack that no mark needs, unless something still might; then give False.

        That is a session which began before the pack was retired, or a head that the marks do not
        know. `places` is what the pack holds, or None where that cannot be known.
        """
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            if _published(connection) != published:
                return False
            mine = packs.c.number == number
            row = connection.execute(select(packs.c.state, packs.c.noted).where(mine)).first()
            if row is None or row[0] != State.RETIRING:
                return False
            elder = select(func.count()).where(
                sessions.c.number <= row[1], sessions.c.number != self._session
            )
            if connection.scalar(elder):
                return False
            if places is None:
                connection.execute(delete(blobs).where(blobs.c.pack == number))
            else:
                leave(connection, number, [place.blob for place in places])
            connection.execute(update(packs).where(mine).values(state=State.GONE))
            return True

    def inhabitants(self, number: int) -> list[Place]:
        """Give what the index knows in a pack, where its footer cannot say it."""
        with self._database.reading() as connection:
            query = select(
                blobs.c.id, blobs.c.offset, blobs.c.stored, blobs.c.length, blobs.c.coding
            ).where(blobs.c.pack == number)
            return [Place(BlobId(bytes(b)), *rest) for b, *rest in connection.execute(query)]

    def condemned(self, number: int) -> bool:
        """Say whether a pack still is to be deleted, and by this session."""
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            state = select(packs.c.state).where(packs.c.number == number)
            return connection.scalar(state) == State.GONE

    def erase(self, number: int) -> None:
        """Forget the row of a pack whose object is deleted, or was never written."""
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            orphaned = (packs.c.state == State.COMING) & packs.c.session.is_(None)
            gone = (packs.c.number == number) & (orphaned | (packs.c.state == State.GONE))
            connection.execute(delete(packs).where(gone))

    def settle_head(self, head_id: str, *, there: bool) -> None:
        """Complete a head whose session died where its object is there; forget it otherwise."""
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            orphaned = (heads.c.state == State.COMING) & heads.c.session.is_(None)
            mine = (heads.c.id == head_id) & orphaned
            if there:
                connection.execute(update(heads).where(mine).values(state=State.LIVE))
            else:
                connection.execute(delete(heads).where(mine))

    def adopt(self, pack: str, size: int, places: Sequence[Place], bad: set[BlobId]) -> None:
        """Take up a pack that lies in the backend, whatever the index knows of it.

        One that is gone is left alone: its object may be deleted at any moment.
        """
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            query = select(packs.c.number, packs.c.state).where(packs.c.id == pack)
            row = connection.execute(query).first()
            if row is not None and row[1] == State.GONE:
                return
            if row is None:
                new = insert(packs).values(id=pack, state=State.LIVE, size=size)
                number = int(connection.execute(new.returning(packs.c.number)).scalar_one())
            else:
                number = row[0]
                mine = update(packs).where(packs.c.number == number)
                connection.execute(mine.values(state=State.LIVE, noted=None, size=size))
                leave(connection, number, [place.blob for place in places])
            sound = [place for place in places if place.blob not in bad]
            # What the footer says is true, whatever the index says.
            enter(self._database, connection, number, sound, always=True)
            enter(self._database, connection, number, (p for p in places if p.blob in bad))
            if bad:
                there = blobs.c.id.in_(bad) & (blobs.c.pack == number)
                connection.execute(update(blobs).where(there).values(bad=True))

    def unlearn(self, pack: str, ids: Sequence[BlobId]) -> None:
        """Forget blobs that the index told of in a pack, and that are not there."""
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            number = connection.scalar(select(packs.c.number).where(packs.c.id == pack))
            if number is not None:
                leave(connection, number, ids)

    def drop(self, number: int) -> None:
        """Forget a pack that is not in the backend, and its blobs."""
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            connection.execute(delete(blobs).where(blobs.c.pack == number))
            connection.execute(delete(packs).where(packs.c.number == number))

    def adopt_head(self, head: Head) -> None:
        """Take up a head that lies in the backend; one that is to go is left alone.

        One that was unknown is no image before it is settled (`settle_head`). Where the name is
        taken it gets another one, which has its id.
        """
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            mine = heads.c.id == head.id
            state = connection.scalar(select(heads.c.state).where(mine))
            if state == State.GONE:
                return
            taken = select(heads.c.id).where(heads.c.name == head.name, ~mine)
            name = head.name
            if connection.scalar(taken) is not None:
                name = other_name(head)
            if state is not None:
                there = update(heads).where(mine)
                connection.execute(there.values(name=name, record=head.encode()))
                return
            values = {"id": head.id, "name": name, "state": State.COMING, "record": head.encode()}
            connection.execute(insert(heads).values(values))
            count = update(facts).where(facts.c.name == "published")
            connection.execute(count.values(value=facts.c.value + 1))

    def drop_head(self, head_id: str) -> None:
        """Forget a head that is not in the backend."""
        with self._database.exclusive() as connection:
            must_live(connection, self._session, leased=True)
            connection.execute(delete(heads).where(heads.c.id == head_id))


def pack_rows(database: Database) -> list[PackRow]:
    """Give every pack that the index knows."""
    query = select(
        packs.c.number,
        packs.c.id,
        packs.c.state,
        packs.c.size,
        packs.c.session,
        packs.c.noted,
        packs.c.scrubbed,
    ).order_by(packs.c.number)
    with database.reading() as connection:
        return [
            PackRow(row[0], row[1], State(row[2]), *row[3:]) for row in connection.execute(query)
        ]


def _published(connection: Connection) -> int:
    return connection.scalar(select(facts.c.value).where(facts.c.name == "published")) or 0
