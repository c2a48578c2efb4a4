"""Several who adopt a Glance at once, in PostgreSQL, where transactions do overlap."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from lab import Postgres
from meltemi.catalogue import adopting
from meltemi.catalogue.adopting_base import Known
from meltemi.catalogue.database import Database
from meltemi.catalogue.schema import metadata
from meltemi.errors import MeltemiError, StaleRecordError
from meltemi.model.adoption import Stage
from meltemi.model.image import Hashes, Image, Member
from tests.catalogue.contending import wait_for_a_lock

pytestmark = pytest.mark.services

GLANCE = "http://glance.example"
ME, OTHER = "a" * 32, "b" * 32
IMAGE = Image(
    id="0c0b1d8a-1b1e-4d5e-8d0c-0e6f2a3b4c5d",
    status="active",
    size=5,
    hashes=Hashes("m" * 32, "sha512", "s" * 128),
    created_at="2019-01-02T03:04:05.000000Z",
    updated_at="2020-01-02T03:04:05.000000Z",
)
FOUND = Known(IMAGE, (Member("p1", "accepted"),))


@pytest.fixture
def database(made_database: str, postgres: Postgres) -> Iterator[Database]:
    """Give a catalogue with nothing in it."""
    postgres.execute(f"TRUNCATE {', '.join(metadata.tables)}", database=made_database)
    opened = Database(f"{postgres.url}/{made_database}")
    yield opened
    opened.close()


@pytest.fixture
def adopted(database: Database) -> Database:
    """Give one in which an adoption runs."""
    with database.writing() as connection:
        adopting.begin(connection, GLANCE, ME)
        adopting.compared(connection, ME)
    return database


Work = Callable[[Connection], object]


def overlapping(
    database: Database,
    postgres: Postgres,
    first: Work,
    second: Work,
    monkeypatch: pytest.MonkeyPatch | None = None,
) -> MeltemiError | None:
    """Do something, and before it is kept something else, which waits; give its error.

    With `monkeypatch`, the other thing begins already before the first changes the adoption.
    """
    errors: list[MeltemiError] = []

    def do_second() -> None:
        try:
            with database.writing() as connection:
                second(connection)
        except MeltemiError as error:
            errors.append(error)

    other = threading.Thread(target=do_second)

    def begin_second() -> None:
        other.start()
        wait_for_a_lock(postgres, other)

    set_ = adopting._set

    def set_later(*values: Any, **more: Any) -> int:
        if threading.current_thread() is not other and not other.is_alive():
            begin_second()
        return set_(*values, **more)

    if monkeypatch is not None:
        monkeypatch.setattr(adopting, "_set", set_later)
    with database.writing() as connection:
        first(connection)
        if monkeypatch is None:
            begin_second()
    other.join()
    if monkeypatch is not None:
        monkeypatch.undo()
    return errors[0] if errors else None


def state(database: Database) -> tuple[Stage, int]:
    """Tell how the adoption stands, and how many images it has."""
    with database.reading() as connection:
        found = adopting.state(connection)
        assert found is not None
        return found.stage, adopting.progress(connection).images


def test_an_image_that_two_find_at_once(adopted: Database, postgres: Postgres) -> None:
    taking = partial(adopting.take, found=FOUND, version=None)
    error = overlapping(adopted, postgres, taking, taking)
    assert isinstance(error, StaleRecordError)
    with adopted.reading() as connection:
        assert adopting.known(connection, [IMAGE.id])[IMAGE.id].image == IMAGE


def test_an_image_that_comes_in_the_midst_of_a_comparison(
    adopted: Database, postgres: Postgres
) -> None:
    taking = partial(adopting.take, found=FOUND, version=None)
    adding = partial(adopting.add, follower=ME, found=[FOUND])
    assert overlapping(adopted, postgres, taking, adding) is None
    assert state(adopted) == (Stage.RUNNING, 1)
    with adopted.writing() as connection:
        adopting.drop(connection, IMAGE.id, 1)
    assert overlapping(adopted, postgres, adding, adding) is None  # its id is known already
    assert state(adopted) == (Stage.RUNNING, 1)


def test_two_begin_at_once(
    database: Database, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (partial(adopting.begin, endpoint=GLANCE, follower=who) for who in (ME, OTHER))
    assert overlapping(database, postgres, first, second) is None
    assert overlapping(database, postgres, first, second, monkeypatch) is None
    with database.writing() as connection:
        adopting.compared(connection, OTHER)
    assert state(database) == (Stage.RUNNING, 0)


def test_two_hosts_follow_as_one(
    adopted: Database, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = partial(adopting.compared, follower=ME)
    with adopted.writing() as connection:
        assert adopting.follow(connection, ME)
    assert overlapping(adopted, postgres, compared, compared, monkeypatch) is None


def test_a_change_while_everything_is_undone(adopted: Database, postgres: Postgres) -> None:
    passing = partial(adopting.begin_passing, holder=ME)
    assert overlapping(adopted, postgres, passing, adopting.undo) is None
    with adopted.reading() as connection:
        assert adopting.state(connection) is None
