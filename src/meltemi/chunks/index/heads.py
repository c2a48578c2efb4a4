"""Names: the heads that the index knows, and the one transaction that makes a put count."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from meltemi.chunks.head import Head
from meltemi.chunks.index.blobs import batches
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.schema import State, facts, heads, packs
from meltemi.chunks.index.sessions import forget, must_live
from meltemi.errors import ConflictError, DamageError, SessionLostError

_LONGEST: Final = 220
"""Characters of a name to which an id can be added."""


class Heads:
    """The named images of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Head | None:
        """Give the image of a name."""
        query = select(heads.c.id, heads.c.name, heads.c.record).where(
            heads.c.name == name, heads.c.state == State.LIVE
        )
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else self._head(*row)

    def all(self, *, coming: bool = False, but: Collection[str] = ()) -> list[Head]:
        """Give all images, by name, but some; with `coming`, those being published, too."""
        wanted = [State.LIVE, State.COMING] if coming else [State.LIVE]
        query = (
            select(heads.c.id, heads.c.name, heads.c.record)
            .where(heads.c.state.in_(wanted))
            .order_by(heads.c.name, heads.c.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [self._head(*row) for row in rows if row[0] not in but]

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
        """Say that a head's object is there, and end the session: the put counts.

        A collector that took the session for dead may have said so already.
        """
        with self._database.exclusive() as connection:
            mine = heads.c.id == head.id
            if connection.scalar(select(heads.c.state).where(mine)) == State.LIVE:
                forget(connection, session)
                return
            must_live(connection, session)
            values = update(heads).where(mine).values(state=State.LIVE, session=None)
            connection.execute(values)
            forget(connection, session)

    def condemn(self, head: Head) -> None:
        """Say that an object is to be deleted which was written too late to count."""
        with self._database.exclusive() as connection:
            mine = heads.c.id == head.id
            if connection.scalar(select(heads.c.id).where(mine)) is None:
                values = {"id": head.id, "state": State.GONE, "record": head.encode()}
                connection.execute(insert(heads).values(values))
            else:
                change = update(heads).where(mine)
                connection.execute(change.values(state=State.GONE, name=None, session=None))

    def withdraw(self, name: str) -> Head | None:
        """Take a name away; its object is to be deleted next, then its row (`erase`)."""
        with self._database.exclusive() as connection:
            query = select(heads.c.id, heads.c.name, heads.c.record).where(
                heads.c.name == name, heads.c.state == State.LIVE
            )
            row = connection.execute(query).first()
            if row is None:
                return None
            head = self._head(*row)
            mine = update(heads).where(heads.c.id == row[0])
            connection.execute(mine.values(state=State.GONE, name=None))
            return head

    def known(self) -> set[str]:
        """Give the ids of all heads, whatever their state."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(heads.c.id)))

    def named(self) -> dict[str, str]:
        """Give the names of all images by the ids of their heads, whatever else is known of them.

        Other than `all`, this does not look whether it can be true.
        """
        with self._database.reading() as connection:
            query = select(heads.c.id, heads.c.name).where(heads.c.state == State.LIVE)
            query = query.order_by(heads.c.name, heads.c.id)
            return {head_id: str(name) for head_id, name in connection.execute(query)}

    def orphaned(self) -> list[str]:
        """Give the heads that were being published when their sessions died."""
        query = select(heads.c.id).where(heads.c.state == State.COMING, heads.c.session.is_(None))
        with self._database.reading() as connection:
            return list(connection.scalars(query))

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

    def _head(self, head_id: str, name: str, record: str) -> Head:
        try:
            return replace(Head.decode(head_id, record), name=name)
        except ValueError as error:
            raise DamageError(
                f"{self._database.label}: image {name}: the index is damaged: {error}: "
                "rebuild it (meltemi store reindex)"
            ) from error


def _states(connection: Connection, wanted: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for batch in batches(wanted):
        query = select(packs.c.id, packs.c.state).where(packs.c.id.in_(batch))
        found.update((pack, state) for pack, state in connection.execute(query))
    return found


def other_name(head: Head) -> str:
    """Give the name that an image gets where its own is taken."""
    return f"{head.name[:_LONGEST]} ({head.id})"
