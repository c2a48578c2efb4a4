"""Several at once: one wins, the others are told, and no data is let go that an image has."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection

from lab import Postgres
from meltemi.catalogue import images, members
from meltemi.catalogue.database import Database
from meltemi.catalogue.sql import SqlCatalogue, open_catalogue
from meltemi.errors import ConflictError, MeltemiError, VanishedError
from meltemi.model.image import Member
from meltemi.model.record import Record
from tests.catalogue.contending import increase, outcome, wait_for_a_lock
from tests.catalogue.recording import ADMIN, altered, data, filled, fresh
from tests.support.forking import FORKING

ROUNDS = 10


@pytest.fixture
async def other(catalogue: SqlCatalogue, url: str) -> AsyncIterator[SqlCatalogue]:
    """Give the same catalogue, opened again as another process would."""
    del catalogue
    opened = await open_catalogue(url)
    yield opened
    await opened.close()


async def test_no_change_is_lost(catalogue: SqlCatalogue, url: str) -> None:
    added = await catalogue.add(fresh(properties={"number": "0"}))
    workers = [FORKING.Process(target=increase, args=(url, added.image.id, 15)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        await asyncio.to_thread(worker.join)
        assert worker.exitcode == 0
    record = await catalogue.get(added.image.id, ADMIN)
    assert (record.image.properties, record.version) == ({"number": "45"}, 46)


async def test_one_of_many_wins_an_id(catalogue: SqlCatalogue, other: SqlCatalogue) -> None:
    for _ in range(ROUNDS):
        record = fresh()
        rivals = [altered(record, name=str(number)) for number in range(6)]
        places = [catalogue, other] * 3
        found = await asyncio.gather(
            *(outcome(place.add(rival)) for place, rival in zip(places, rivals, strict=True))
        )
        [winner] = [one for one in found if isinstance(one, Record)]
        assert found.count(ConflictError) == 5
        assert await catalogue.get(record.image.id, ADMIN) == winner


async def test_one_of_many_begins_an_upload(catalogue: SqlCatalogue, other: SqlCatalogue) -> None:
    for _ in range(ROUNDS):
        image = (await catalogue.add(fresh())).image.id
        contents = [data() for _ in range(6)]
        places = [catalogue, other] * 3
        found = await asyncio.gather(
            *(
                outcome(place.move(image, expected=["queued"], status="active", content=content))
                for place, content in zip(places, contents, strict=True)
            )
        )
        [winner] = [one for one in found if isinstance(one, Record)]
        assert found.count(ConflictError) == 5
        assert await catalogue.get(image, ADMIN) == winner
        assert await catalogue.known([one.id for one in contents]) == {winner.content}


async def test_an_image_that_is_removed_while_it_is_changed(
    catalogue: SqlCatalogue, other: SqlCatalogue
) -> None:
    for _ in range(ROUNDS):
        record = await catalogue.add(fresh(visibility="shared"))
        image = record.image.id
        *removed, changed, offered, added, moved = await asyncio.gather(
            outcome(catalogue.remove(image)),
            outcome(other.remove(image)),
            outcome(other.change(altered(record, name="new"))),
            outcome(other.offer(image, Member("p"))),
            outcome(catalogue.add(record)),
            outcome(other.move(image, expected=["queued"], status="saving")),
        )
        assert sorted(removed, key=str) == [VanishedError, None]
        assert added is ConflictError
        assert offered in (Member("p"), VanishedError)
        assert changed is not ConflictError
        assert moved is not ConflictError
        with pytest.raises(VanishedError):
            await catalogue.get(image, ADMIN)
        with pytest.raises(VanishedError):
            await catalogue.members(image)


async def test_a_content_is_let_go_once_and_never_while_it_is_cloned(
    catalogue: SqlCatalogue, other: SqlCatalogue
) -> None:
    for _ in range(ROUNDS):
        content = data()
        first = await filled(catalogue, content)
        second = await catalogue.clone(first.image.id, fresh(status="active"))
        clone, *removed = await asyncio.gather(
            outcome(other.clone(second.image.id, fresh(status="active"))),
            outcome(catalogue.remove(first.image.id)),
            outcome(other.remove(second.image.id)),
        )
        if isinstance(clone, Record):
            assert removed == [None, None]
            assert await catalogue.loose() == []
            removed = [await catalogue.remove(clone.image.id)]
        else:
            assert clone is VanishedError
        assert [one for one in removed if one] == [content]
        assert await catalogue.loose() == [content]
        await catalogue.forget(content.id)


class Between:
    """Lets something happen in the middle of a clone, before or after it has locked the content."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None
        self._lock = images._lock
        monkeypatch.setattr(images, "_lock", self._hooked)
        self._cloning = threading.get_ident()

    def _hooked(self, connection: Connection, content: str) -> Any:
        if threading.get_ident() != self._cloning:
            return self._lock(connection, content)
        self.before()
        found = self._lock(connection, content)
        self.after()
        return found


@pytest.fixture
def database(made_database: str, postgres: Postgres) -> Iterator[Database]:
    """Give the database in PostgreSQL, where transactions do overlap."""
    opened = Database(f"{postgres.url}/{made_database}")
    yield opened
    opened.close()


@pytest.fixture
def source(database: Database) -> Record:
    """Give an image with data."""
    with database.writing() as connection:
        image = images.add(connection, fresh()).image.id
        return images.move(connection, image, ["queued"], "active", content=data(), holder=None)


def test_a_source_that_is_removed_just_before(
    database: Database, source: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = Between(monkeypatch)

    def remove() -> None:
        with database.writing() as connection:
            assert images.remove(connection, source.image.id) is not None

    def remove_in_another_thread() -> None:
        with ThreadPoolExecutor() as threads:
            threads.submit(remove).result()

    between.before = remove_in_another_thread
    with pytest.raises(VanishedError), database.writing() as connection:
        images.clone(connection, source.image.id, fresh(status="active"))
    with database.reading() as connection:
        assert source.content in [one.id for one in images.loose(connection, 1000)]


def test_a_source_that_is_removed_just_after(
    database: Database, source: Record, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = Between(monkeypatch)
    removed = []

    def remove() -> None:
        with database.writing() as connection:
            removed.append(images.remove(connection, source.image.id))

    remover = threading.Thread(target=remove)

    def remove_meanwhile() -> None:
        remover.start()
        wait_for_a_lock(postgres, remover)

    between.after = remove_meanwhile
    with database.writing() as connection:
        clone = images.clone(connection, source.image.id, fresh(status="active"))
    remover.join()
    assert removed == [None]
    with database.reading() as connection:
        assert clone.content not in [one.id for one in images.loose(connection, 1000)]


def test_an_image_that_is_offered_while_it_is_removed(
    database: Database, source: Record, postgres: Postgres
) -> None:
    errors: list[type[Exception]] = []

    def offer() -> None:
        try:
            with database.writing() as connection:
                members.offer(connection, source.image.id, Member("p"))
        except MeltemiError as error:
            errors.append(type(error))

    offering = threading.Thread(target=offer)
    with database.writing() as connection:
        images.remove(connection, source.image.id)
        offering.start()
        wait_for_a_lock(postgres, offering)
    offering.join()
    assert errors == [VanishedError]
