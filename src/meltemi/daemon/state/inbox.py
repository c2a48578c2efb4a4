"""What comes in by events: requests, what was signed and has been seen, the name of our queue."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from secrets import token_hex
from typing import Final

from sqlalchemy import Connection, delete, insert, or_, select

from meltemi.daemon.state.records import Request
from meltemi.daemon.state.schema import deliveries, names, placements, requests
from meltemi.model.placement import Place
from meltemi.transactions import Database, insert_if_new

_QUEUE: Final = "queue"


@dataclass(frozen=True, slots=True)
class Signed:
    """What a sender has signed, by its signature; it counts once as long as it is not too old.

    `at` is when it was signed, what was signed before `oldest` is too old; seconds since 1970.
    """

    signature: str
    at: float
    oldest: float


class Inbox:
    """The part of the state that whoever hears of events writes, leader or not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, asked: Sequence[Request], signed: Signed | None = None) -> bool:
        """Keep requests for the leader; False, and nothing kept, where `signed` has come before."""
        rows = [asdict(request) for request in asked]

        def write(connection: Connection) -> bool:
            if signed is not None:
                connection.execute(delete(deliveries).where(deliveries.c.at < signed.oldest))
                row = {"signature": signed.signature, "at": signed.at}
                if not insert_if_new(connection, deliveries, row):
                    return False
            if rows:
                connection.execute(insert(requests), rows)
            return True

        if not rows and signed is None:
            return True
        return await self._database.write(write)

    async def replicas(self, library: str, image: str) -> list[Place]:
        """Give the placements in a library whose image there has an id, as far as is known."""
        columns = placements.c
        query = select(columns.source, columns.image, columns.library).where(
            columns.library == library, or_(columns.target_id == image, columns.image == image)
        )
        return await self._database.read(lambda c: [Place(*row) for row in c.execute(query)])

    async def queue(self) -> str:
        """Name what the queues begin with in which this state's daemons hear; it never changes."""

        def name(connection: Connection) -> str:
            fresh = {"name": _QUEUE, "value": f"meltemi-{token_hex(8)}"}
            insert_if_new(connection, names, fresh)
            found = connection.scalar(select(names.c.value).where(names.c.name == _QUEUE))
            return str(found)

        return await self._database.write(name)
