"""Where the index says that a blob lies when a second pack brings it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from meltemi.chunks.blob import chunk_id
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.sessions import Sessions
from meltemi.chunks.pack import Place

OLD, NEW = "0" * 32, "1" * 32
MOVED, OTHER = chunk_id(b"moved"), chunk_id(b"other")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'index.sqlite'}")
    yield opened
    opened.close()


def bring(database: Database, session: int, pack: str, *blobs: bytes) -> list[Place]:
    places = [Place(chunk_id(blob), 24, 5, 5, 0) for blob in blobs]
    index = Blobs(database)
    index.announce(session, pack)
    index.record(session, pack, 100, places)
    return places


def test_a_second_pack_does_not_take_a_blob_from_a_living_one(database: Database) -> None:
    session = Sessions(database).begin()
    bring(database, session, OLD, b"moved")
    bring(database, session, NEW, b"moved")
    assert Blobs(database).hits([MOVED]) == {MOVED: OLD}


def test_a_second_pack_takes_a_blob_from_a_retiring_one(database: Database) -> None:
    session = Sessions(database).begin()
    Sessions(database).lease(session)
    collector = CollectionIndex(database, session)
    bring(database, session, OLD, b"moved")
    collector.retire([collector.packs()[0].number])
    bring(database, session, NEW, b"moved", b"other")
    assert Blobs(database).hits([MOVED, OTHER]) == {MOVED: NEW, OTHER: NEW}


def test_a_rewritten_pack_takes_its_blobs_along(database: Database) -> None:
    session = Sessions(database).begin()
    Sessions(database).lease(session)
    collector = CollectionIndex(database, session)
    bring(database, session, OLD, b"moved", b"other")
    old = collector.packs()[0].number
    places = bring(database, session, NEW, b"moved")
    assert Blobs(database).hits([MOVED]) == {MOVED: OLD}
    collector.retire([old], [(NEW, places)])
    assert Blobs(database).hits([MOVED, OTHER]) == {MOVED: NEW}
    assert collector.at_home(old, [MOVED, OTHER]) == {OTHER: False}


def test_damage_of_one_copy_says_nothing_of_another(database: Database) -> None:
    session = Sessions(database).begin()
    bring(database, session, OLD, b"moved", b"other")
    bring(database, session, NEW, b"moved")
    Blobs(database).mark_bad(NEW, [MOVED, OTHER])
    assert Blobs(database).hits([MOVED, OTHER]) == {MOVED: OLD, OTHER: OLD}
    Blobs(database).mark_bad(OLD, [MOVED])
    assert Blobs(database).hits([MOVED, OTHER]) == {OTHER: OLD}


@pytest.mark.parametrize("order", [(OLD, NEW), (NEW, OLD)])
def test_a_damaged_copy_never_stands_in_the_way_of_a_sound_one(
    order: tuple[str, str], database: Database
) -> None:
    """In whichever order reindexing comes across them."""
    session = Sessions(database).begin()
    Sessions(database).lease(session)
    collector = CollectionIndex(database, session)
    places = [Place(MOVED, 24, 5, 5, 0)]
    for pack in order:
        collector.adopt(pack, 100, places, {MOVED} if pack == OLD else set())
    assert Blobs(database).hits([MOVED]) == {MOVED: NEW}
    assert not Blobs(database).locate([MOVED])[MOVED].bad
