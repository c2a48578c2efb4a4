"""Where blobs lie, and what state their packs are in."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar
from zlib import crc32

from sqlalchemy import Connection, bindparam, delete, insert, literal_column, select, update

from meltemi.chunks.blob import BlobId
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.schema import State, blobs, packs
from meltemi.chunks.index.sessions import must_live
from meltemi.chunks.pack import Place

_Id = TypeVar("_Id", bound=bytes | str | int)
_BATCH: Final = 1024


class Location(NamedTuple):
    """Where a blob lies: in which pack, at which place of it."""

    pack: str
    place: Place
    bad: bool


class Blobs:
    """The blobs of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Made once: SQLAlchemy takes longer to make a statement than a database to carry it out.
        found = blobs.join(packs, packs.c.number == blobs.c.pack)
        mine = database.among(blobs.c.id)
        self._located = (
            select(
                blobs.c.id,
                blobs.c.offset,
                blobs.c.stored,
                blobs.c.length,
                blobs.c.coding,
                packs.c.id,
                blobs.c.bad,
            )
            .select_from(found)
            .where(mine)
        )
        self._hits = (
            select(
                blobs.c.id,
                blobs.c.offset,
                blobs.c.stored,
                blobs.c.length,
                blobs.c.coding,
                blobs.c.pack,
                blobs.c.seal,
                packs.c.id,
            )
            .select_from(found)
            .where(mine, packs.c.state == State.LIVE, ~blobs.c.bad)
        )

    def locate(self, ids: Iterable[BlobId]) -> dict[BlobId, Location]:
        """Say where blobs lie; those that are nowhere are left out."""
        found = {}
        with self._database.reading() as connection:
            for batch in batches(ids):
                for blob, offset, stored, length, coding, pack, bad in connection.execute(
                    self._located, {"ids": b"".join(batch)}
                ):
                    blob_id = BlobId(bytes(blob))
                    place = Place(blob_id, offset, stored, length, coding)
                    found[blob_id] = Location(pack, place, bad)
        return found

    def hits(self, ids: Iterable[BlobId]) -> dict[BlobId, str]:
        """Say which blobs need not be stored again, and in which packs they are.

        A row that is not what was written is none of them: who relied on it would lose what it
        brought. It is known as bad from then on, so that what is stored now takes its place.
        """
        found = {}
        wrong = []
        with self._database.reading() as connection:
            for batch in batches(ids):
                rows = connection.execute(self._hits, {"ids": b"".join(batch)})
                for blob, offset, stored, length, coding, number, told, pack in rows:
                    blob_id = BlobId(bytes(blob))
                    if seal(number, Place(blob_id, offset, stored, length, coding)) == told:
                        found[blob_id] = pack
                    else:
                        wrong.append(blob_id)
        if wrong:
            self._disbelieve(wrong)
        return found

    def all(self) -> Iterator[dict[str, list[BlobId]]]:
        """Give every blob that is not known as bad, by packs, in batches."""
        query = (
            select(blobs.c.id, packs.c.id)
            .join(packs, packs.c.number == blobs.c.pack)
            .where(blobs.c.id > bindparam("last"), ~blobs.c.bad)
            .order_by(blobs.c.id)
            .limit(_BATCH)
        )
        last = b""
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(query, {"last": last}).all()
            if not rows:
                return
            found: dict[str, list[BlobId]] = {}
            for blob, pack in rows:
                found.setdefault(pack, []).append(BlobId(bytes(blob)))
            last = bytes(rows[-1][0])
            yield found

    def announce(self, session: int, pack: str) -> None:
        """Say that a pack is coming."""
        with self._database.exclusive() as connection:
            must_live(connection, session)
            connection.execute(insert(packs).values(id=pack, state=State.COMING, session=session))

    def record(self, session: int, pack: str, size: int, places: Sequence[Place]) -> None:
        """Say that a pack has come, and what is in it."""
        with self._database.exclusive() as connection:
            must_live(connection, session)
            number = connection.scalar(select(packs.c.number).where(packs.c.id == pack))
            if number is None:
                raise AssertionError("a pack is announced before it is recorded")
            connection.execute(
                update(packs).where(packs.c.number == number).values(state=State.LIVE, size=size)
            )
            enter(self._database, connection, number, places)

    def _disbelieve(self, blob_ids: Iterable[BlobId]) -> None:
        with self._database.exclusive() as connection:
            change = update(blobs).where(self._database.among(blobs.c.id)).values(bad=True)
            for batch in batches(blob_ids):
                connection.execute(change, {"ids": b"".join(batch)})

    def mark_bad(self, pack: str, blob_ids: Iterable[BlobId]) -> None:
        """Say that blobs of a pack were found to be damaged."""
        with self._database.exclusive() as connection:
            number = select(packs.c.number).where(packs.c.id == pack).scalar_subquery()
            theirs = (self._database.among(blobs.c.id), blobs.c.pack == number)
            change = update(blobs).where(*theirs).values(bad=True)
            for batch in batches(blob_ids):
                connection.execute(change, {"ids": b"".join(batch)})


def seal(number: int, place: Place) -> int:
    """Sum a row up, so that one which a failing disk has changed is told from one that was written.

    Databases have no sums of their own, SQLite none at all. CRC-32 finds every single flipped bit.
    """
    blob, *numbers = place
    return crc32(blob + b"".join(n.to_bytes(8, "little", signed=True) for n in (number, *numbers)))


def enter(
    database: Database,
    connection: Connection,
    number: int,
    places: Iterable[Place],
    *,
    always: bool = False,
) -> None:
    """Enter a pack's blobs, as far as no sound one is known in a pack that lives, or `always`."""
    rows = [
        {
            "id": place.blob,
            "pack": number,
            "offset": place.offset,
            "stored": place.stored,
            "length": place.length,
            "coding": place.coding,
            "seal": seal(number, place),
            "bad": False,
        }
        for place in places
    ]
    if not rows:
        return
    statement = database.insert(blobs)
    # In words: SQLAlchemy would not take the column for that of the row which is in the way.
    there = packs.c.number == literal_column("blobs.pack")
    elsewhere = select(packs.c.number).where(there, packs.c.state == State.LIVE).exists()
    new = {name: statement.excluded[name] for name in rows[0] if name != "id"}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[blobs.c.id],
            set_=new,
            where=None if always else blobs.c.bad | ~elsewhere,
        ),
        rows,
    )


def leave(connection: Connection, number: int, ids: Iterable[BlobId]) -> None:
    """Forget the blobs of a pack, as far as they are not known to be elsewhere."""
    for batch in batches(ids):
        connection.execute(delete(blobs).where(blobs.c.id.in_(batch), blobs.c.pack == number))


def batches(ids: Iterable[_Id]) -> Iterator[list[_Id]]:
    """Divide ids into lists that a statement can take, each id once."""
    every = list(dict.fromkeys(ids))
    for begin in range(0, len(every), _BATCH):
        yield every[begin : begin + _BATCH]
