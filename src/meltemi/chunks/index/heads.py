"""Names: the heads that the index knows, and the one transaction that makes a put count."""

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update

from meltemi.chunks.head import Head
from meltemi.chunks.index.blobs import batches
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.schema import State, facts, heads, packs
from meltemi.chunks.index.sessions import forget, must_live
from meltemi.errors import ConflictError, SessionLostError


class Heads:
    """The named images of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Head | None:
        """Give the image of a name."""
        query = select(heads.c.id, heads.c.record).where(
            heads.c.name == name, heads.c.state == State.LIVE
        )
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else Head.decode(row[0], row[1])

    def all(self, *, coming: bool = False) -> list[Head]:
        """Give all images, by name; with `coming`, those that are being published, too."""
        wanted = [State.LIVE, State.COMING] if coming else [State.LIVE]
        with self._database.reading() as connection:
            return _heads(connection, wanted)

    def publish(self, session: int, head: Head, relied: Collection[str]) -> None:
        """Give a manifest its name, if all packs that it relies on still stand.

        Raise SessionLostError where one does not, ConflictError where the name is taken.
        """
        with self._database.exclusive() as connection:
            must_live(connection, session)
            taken = select(heads.c.id).where(heads.c.name == head.name)
            if connection.scalar(taken) is not None:
                raise ConflictError(f"image {head.name}: there is one of that name already")
            known = _states(connection, relied)
            standing = (State.LIVE, State.RETIRING)
            if fallen := [pack for pack in relied if known.get(pack) not in standing]:
                raise SessionLostError(
                    f"image {head.name}: pack {fallen[0]}, which it relies on, is gone; "
                    "nothing was published: put again"
                )
            for pack in relied:
                if known[pack] == State.RETIRING:
                    back = update(packs).where(packs.c.id == pack)
                    connection.execute(back.values(state=State.LIVE, noted=None))
            connection.execute(
                insert(heads).values(
                    id=head.id,
                    name=head.name,
                    state=State.COMING,
                    session=session,
                    record=head.encode(),
                )
            )
            count = update(facts).where(facts.c.name == "published")
            connection.execute(count.values(value=facts.c.value + 1))

    def complete(self, session: int, head: Head) -> None:
        """Say that a head's object is there, and end the session: the put counts."""
        with self._database.exclusive() as connection:
            must_live(connection, session)
            mine = update(heads).where(heads.c.id == head.id)
            connection.execute(mine.values(state=State.LIVE, session=None))
            forget(connection, session)

    def withdraw(self, name: str) -> Head | None:
        """Take a name away; its object is to be deleted next, then its row (`erase`)."""
        with self._database.exclusive() as connection:
            query = select(heads.c.id, heads.c.record).where(
                heads.c.name == name, heads.c.state == State.LIVE
            )
            row = connection.execute(query).first()
            if row is None:
                return None
            mine = update(heads).where(heads.c.id == row[0])
            connection.execute(mine.values(state=State.GONE, name=None))
            return Head.decode(row[0], row[1])

    def known(self) -> set[str]:
        """Give the ids of all heads, whatever their state."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(heads.c.id)))

    def withdrawn(self) -> list[str]:
        """Give the heads whose objects are to be deleted."""
        with self._database.reading() as connection:
            query = select(heads.c.id).where(heads.c.state == State.GONE)
            return list(connection.scalars(query))

    def erase(self, head_id: str) -> None:
        """Forget a head whose object is deleted."""
        with self._database.exclusive() as connection:
            gone = (heads.c.id == head_id) & (heads.c.state == State.GONE)
            connection.execute(delete(heads).where(gone))


def _states(connection: Connection, wanted: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for batch in batches(wanted):
        query = select(packs.c.id, packs.c.state).where(packs.c.id.in_(batch))
        found.update(connection.execute(query).tuples().all())
    return found


def _heads(connection: Connection, wanted: list[State]) -> list[Head]:
    query = (
        select(heads.c.id, heads.c.record)
        .where(heads.c.state.in_(wanted))
        .order_by(heads.c.name, heads.c.id)
    )
    return [Head.decode(head_id, record) for head_id, record in connection.execute(query)]
