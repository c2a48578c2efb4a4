"""Processes that are killed, and a database that goes away: what was acknowledged is there."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from random import Random

import pytest

from lab import Postgres
from meltemi.catalogue.migrations import upgrade
from meltemi.catalogue.sql import SqlCatalogue, open_catalogue
from meltemi.errors import CatalogueError, VanishedError
from meltemi.model.record import Record
from tests.catalogue.contending import outcome, work_until_killed
from tests.catalogue.recording import ADMIN, fresh
from tests.support.forking import FORKING

ROUNDS = 6


def hear(url: str, seed: int, until: int) -> tuple[dict[str, Record | None], set[str]]:
    """Let a process work, and kill it after so many words; give what it did and was doing."""
    pipe, theirs = FORKING.Pipe(duplex=False)
    process = FORKING.Process(target=work_until_killed, args=(url, seed, theirs), daemon=True)
    process.start()
    theirs.close()
    done: dict[str, Record | None] = {}
    doing: set[str] = set()
    heard = 0
    with suppress(EOFError, ConnectionResetError):
        while True:
            assert pipe.poll(120), "it does nothing"
            what, image, record = pipe.recv()
            heard += 1
            if what == "doing":
                doing.add(image)
            else:
                done[image] = record
                doing.remove(image)
            if heard == until:
                process.kill()
    process.join()
    assert heard >= until
    return done, doing


async def test_what_killed_processes_acknowledged_is_there(
    catalogue: SqlCatalogue, url: str
) -> None:
    chance = Random(5)
    held: dict[str, Record] = {}
    for seed in range(ROUNDS):
        done, doing = await asyncio.to_thread(hear, url, seed, chance.randrange(20, 120))
        assert len(doing) <= 1
        for image, acknowledged in done.items():
            found = await outcome(catalogue.get(image, ADMIN))
            if image not in doing:
                assert found == (acknowledged or VanishedError)
            elif isinstance(found, Record) and acknowledged and found != acknowledged:
                assert found.version == acknowledged.version + 1
            if isinstance(found, Record):
                held[image] = found
        for image in doing - set(done):
            with suppress(VanishedError):
                held[image] = await catalogue.get(image, ADMIN)
    for image, record in held.items():
        assert await catalogue.get(image, ADMIN) == record
    contents = {record.content for record in held.values() if record.content}
    assert await catalogue.known(sorted(contents)) == contents
    assert contents.isdisjoint(content.id for content in await catalogue.loose())


@pytest.fixture
def server() -> Iterator[Postgres]:
    """Give a PostgreSQL server that may be stopped."""
    with Postgres() as started:
        started.start()
        yield started


async def write(
    catalogue: SqlCatalogue, written: list[Record], errors: list[str], enough: asyncio.Event
) -> None:
    """Add images until the database fails."""
    try:
        while True:
            written.append(await catalogue.add(fresh()))
            if len(written) == 20:
                enough.set()
    except CatalogueError as error:
        errors.append(str(error))


@pytest.mark.services
async def test_a_database_that_goes_away_and_comes_back(server: Postgres) -> None:
    server.create_database("region")
    url = f"{server.url}/region"
    upgrade(url)
    catalogue = await open_catalogue(url)
    for _ in range(2):
        written: list[Record] = []
        errors: list[str] = []
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(write(catalogue, written, errors, enough))
            await enough.wait()
            await asyncio.to_thread(server.stop)
        assert len(errors) == 4
        assert all("the catalogue: " in error for error in errors)
        with pytest.raises(CatalogueError, match="refused"):
            await catalogue.get(written[0].image.id, ADMIN)
        with pytest.raises(CatalogueError, match="refused"):
            await open_catalogue(url)
        await asyncio.to_thread(server.start)
        for record in written:
            assert await catalogue.get(record.image.id, ADMIN) == record
    await catalogue.close()
