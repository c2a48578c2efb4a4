"""What processes do to a catalogue at once, or until they are killed."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from random import Random
from uuid import uuid4

from lab import Postgres
from meltemi.catalogue.sql import SqlCatalogue, open_catalogue
from meltemi.errors import MeltemiError, StaleRecordError
from meltemi.model.record import Record
from tests.catalogue.recording import ADMIN, altered, data, fresh


async def outcome(call: Awaitable[object]) -> object:
    """Give what a call gives, or the kind of error that it raises."""
    try:
        return await call
    except MeltemiError as error:
        return type(error)


def increase(url: str, image: str, times: int) -> None:
    """Add 1 to a property of an image, so many times, each from what was read before."""

    async def work() -> None:
        catalogue = await open_catalogue(url)
        for _ in range(times):
            while True:
                record = await catalogue.get(image, ADMIN)
                number = int(record.image.properties["number"]) + 1
                with suppress(StaleRecordError):
                    await catalogue.change(altered(record, properties={"number": str(number)}))
                    break
        await catalogue.close()

    asyncio.run(work())


def work_until_killed(url: str, seed: int, pipe: Connection) -> None:
    """Add, change, fill, clone and remove images; tell of each before and after."""
    asyncio.run(_Worker(Random(seed), pipe).work(url))


def wait_for_a_lock(postgres: Postgres, thread: threading.Thread) -> None:
    """Wait until a transaction waits for another."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while postgres.execute(waiting) == "0":
        assert thread.is_alive(), "it did not wait"


class _Worker:
    def __init__(self, chance: Random, pipe: Connection) -> None:
        self._chance = chance
        self._pipe = pipe
        self._mine: dict[str, Record] = {}

    async def work(self, url: str) -> None:
        """Work for ever."""
        catalogue = await open_catalogue(url)
        for number in count():
            act = self._chance.choice([self._add, self._change, self._fill, self._clone])
            if not self._mine:
                act = self._add
            elif number % 5 == 0:
                await self._remove(catalogue)
                continue
            await act(catalogue)

    async def _add(self, catalogue: SqlCatalogue) -> None:
        record = fresh(name="new")
        await self._tell(record.image.id, lambda: catalogue.add(record))

    async def _change(self, catalogue: SqlCatalogue) -> None:
        record = self._one()
        wanted = altered(record, name=str(uuid4()), tags=frozenset({str(uuid4())}))
        await self._tell(record.image.id, lambda: catalogue.change(wanted))

    async def _fill(self, catalogue: SqlCatalogue) -> None:
        image = self._one().image
        content = None if image.status == "active" else data()
        status = "queued" if image.status == "active" else "active"
        await self._tell(
            image.id,
            lambda: catalogue.move(
                image.id, expected=[image.status], status=status, content=content
            ),
        )

    async def _clone(self, catalogue: SqlCatalogue) -> None:
        source, record = self._one(), fresh(status="active")
        if source.content:
            await self._tell(record.image.id, lambda: catalogue.clone(source.image.id, record))

    async def _remove(self, catalogue: SqlCatalogue) -> None:
        image = self._one().image.id
        self._pipe.send(("doing", image, None))
        await catalogue.remove(image)
        del self._mine[image]
        self._pipe.send(("done", image, None))

    async def _tell(self, image: str, act: Callable[[], Awaitable[Record]]) -> None:
        self._pipe.send(("doing", image, None))
        self._mine[image] = await act()
        self._pipe.send(("done", image, self._mine[image]))

    def _one(self) -> Record:
        return self._chance.choice(list(self._mine.values()))
