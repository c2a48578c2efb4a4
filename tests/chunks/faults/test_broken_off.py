"""Work that breaks off in the middle: what was begun is known, and finished later."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.blob import chunk_id
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.heads import Heads
from meltemi.chunks.index.schema import State
from meltemi.chunks.pack import pack_object
from meltemi.chunks.reconcile import reindex
from meltemi.chunks.scrubbing import scrub
from meltemi.chunks.store import Store
from meltemi.errors import SessionLostError, StoreError
from tests.chunks.faults.rig import Hooks, Rig, block, of_heads, of_packs


def fail() -> None:
    """Fail as a backend does."""
    raise StoreError("500 Internal Server Error")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_removal_that_breaks_off_is_one(when: str, rig: Rig, hooks: Hooks) -> None:
    """The image does not come back, whether its head has been deleted or not."""
    rig.put("gone", 1, 2)
    rig.put("kept", 2, 3)
    at = hooks.before if when == "before" else hooks.after
    at(FolderBackend, "delete", fail, when=of_heads)
    with pytest.raises(StoreError):
        rig.remove("gone")
    del rig.truth["gone"]
    rig.see_all()
    reindex(rig.store)
    rig.put("gone", 4)
    rig.see_clean()


def test_a_collection_that_breaks_off_before_a_head_is_deleted(rig: Rig, hooks: Hooks) -> None:
    rig.put("gone", 1, 2)
    for _ in range(2):
        hooks.before(FolderBackend, "delete", fail, when=of_heads)
    with pytest.raises(StoreError):
        rig.remove("gone")
    del rig.truth["gone"]
    with pytest.raises(StoreError):
        collect(rig.store)
    assert len(hooks.happened) == 2
    rig.see_clean()


def test_a_collection_that_breaks_off_before_a_pack_is_deleted(rig: Rig, hooks: Hooks) -> None:
    """The pack is none any more, though it is there: its deletion may yet happen."""
    rig.put("gone", 1, 2)
    pack = rig.pack_of(block(1))
    rig.remove("gone")
    hooks.before(FolderBackend, "delete", fail, when=of_packs)
    with pytest.raises(StoreError):
        collect(rig.store)
    assert rig.exists(pack)
    for _ in range(2):
        assert [row.id for row in rig.rows(*State)] == [pack]
        assert [row.id for row in rig.rows(State.GONE)] == [pack]
        assert rig.store.blobs.hits([chunk_id(block(1))]) == {}
        reindex(rig.store)
    rig.see_clean()


def test_a_put_whose_head_could_not_be_written_leaves_its_name(rig: Rig, hooks: Hooks) -> None:
    hooks.before(FolderBackend, "write", fail, when=of_heads)
    with pytest.raises(StoreError):
        rig.put("one", 1, 2)
    rig.put("one", 1, 2)
    rig.see_clean()


def test_a_put_whose_own_pack_goes_before_it_is_published(rig: Rig, hooks: Hooks) -> None:
    def lose() -> None:
        for name, _ in list(rig.store.backend.names("packs")):
            rig.store.backend.delete(name)

    hooks.after(Blobs, "record", lose)
    hooks.before(Heads, "publish", fail)
    with pytest.raises(SessionLostError, match="meltemi store reindex"):
        rig.put("one", 1, 2)
    assert hooks.happened == ["Blobs.record"]


def test_what_a_killed_write_left_behind_goes_with_the_next_collection(rig: Rig) -> None:
    rig.put("one", 1, 2)
    backend = rig.store.backend
    assert isinstance(backend, FolderBackend)
    (backend._folder / "tmp" / "draft").write_bytes(b"half a pack")
    rig.collect()
    assert list(backend.names("tmp")) == []


def test_a_rebuilding_that_breaks_off_is_not_taken_for_done(rig: Rig, hooks: Hooks) -> None:
    rig.put("one", 1, 2)
    with rig.sql() as connection:
        connection.exec_driver_sql("DELETE FROM owner")
    hooks.before(CollectionIndex, "adopt_head", fail)
    with pytest.raises(StoreError):
        reindex(rig.store)
    assert not rig.store.is_indexed
    reindex(rig.store)
    assert rig.store.is_indexed
    rig.see_clean()


def test_a_rebuilding_that_breaks_off_brings_no_image_back_that_was_removed_meanwhile(
    rig: Rig, hooks: Hooks
) -> None:
    """Its head was read before, and whether it still is there could not be looked at any more."""
    rig.put("kept", 1)
    rig.put("old", 1, 2)

    def old(arguments: Sequence[Any]) -> bool:
        return bool(arguments[0].name == "old")

    hooks.before(CollectionIndex, "adopt_head", lambda: rig.remove("old"), when=old)
    hooks.after(CollectionIndex, "adopt_head", fail, when=old)
    with pytest.raises(StoreError):
        reindex(rig.store)
    assert len(hooks.happened) == 2
    rig.see_all()
    assert check(rig.store).problems == []
    rig.see_clean()


def test_a_store_that_could_not_be_made_can_be_made_again(rig: Rig, hooks: Hooks) -> None:
    backend, label = rig.store.backend, rig.store.database.label
    with rig.sql() as connection:
        connection.exec_driver_sql("DELETE FROM owner")
    backend.delete("store.json")

    def index() -> Database:
        return rig.store.database

    hooks.before(FolderBackend, "write", fail)
    with pytest.raises(StoreError):
        Store.create(backend, index)
    assert rig.store.database.bound() is None, label
    made = Store.create(backend, index)
    assert made.is_indexed
    made.pool.shutdown()


@pytest.mark.parametrize("table", ["packs", "heads"])
def test_a_dry_run_takes_nothing_up(table: str, rig: Rig) -> None:
    rig.put("one", 1, 2)
    with rig.sql() as connection:
        connection.exec_driver_sql(f"DELETE FROM {table}")
    with pytest.raises(StoreError, match="unknown to the index"):
        collect(rig.store, dry_run=True)
    with rig.sql() as connection:
        query = f"SELECT count(*) FROM {table}"
        assert connection.exec_driver_sql(query).scalar() == 0


def test_a_dry_run_leaves_to_others_what_broke_off(rig: Rig) -> None:
    rig.put("one", 1, 2)
    with rig.sql() as connection:
        connection.exec_driver_sql(
            "INSERT INTO packs (id, state, size, scrubbed) VALUES ('lost', 0, 0, 0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO packs (id, state, size, scrubbed) VALUES ('gone', 3, 0, 0)"
        )
    before = rig.rows(*State)
    collect(rig.store, dry_run=True)
    assert rig.rows(*State) == before
    rig.see_clean()


def strew(rig: Rig) -> set[str]:
    """Put objects where only packs, heads and marks of damage should be."""
    names = {"packs/00/notes.txt", "packs/stray", "heads/old/copy", "bad/nonsense", "bad/a-b"}
    for name in names:
        rig.store.backend.write(name, b"not ours")
    return names - {"bad/nonsense", "bad/a-b"}


def test_objects_that_are_none_of_a_store_are_left_alone(rig: Rig) -> None:
    rig.put("one", 1, 2)
    rig.put("two", 3)
    names = strew(rig)
    done = reindex(rig.store)
    assert (done.images, done.packs, done.damaged) == (2, 2, [])
    assert check(rig.store).problems == []
    rig.remove("two")
    rig.collect()
    assert check(rig.store).problems == []
    assert all(rig.store.backend.size(name) is not None for name in names)
    rig.see_all()


# Scrubbing


def unread(rig: Rig) -> dict[str, bool]:
    """Say of each pack whether it has not been read in this round."""
    rows = rig.rows(State.LIVE, State.RETIRING)
    newest = max(row.scrubbed for row in rows)
    return {row.id: row.scrubbed < newest or not newest for row in rows}


def test_a_scrub_that_breaks_off_goes_on_with_the_pack_it_was_at(rig: Rig, hooks: Hooks) -> None:
    packs = []
    for number in range(4):
        rig.put(f"image {number}", number)
        packs.append(rig.pack_of(block(number)))
    hooks.before(FolderBackend, "read", fail, when=about(packs[2]))
    with pytest.raises(StoreError):
        scrub(rig.store)
    assert unread(rig) == dict(zip(packs, (False, False, True, True), strict=True))
    assert scrub(rig.store).packs == 2
    # A round that is complete is followed by another.
    assert scrub(rig.store).packs == 4
    rig.put("new", 9)
    assert scrub(rig.store).packs == 5


def about(pack: str) -> Callable[..., bool]:
    """Say whether an operation of a backend is about one pack."""
    return lambda arguments: bool(arguments[0] == pack_object(pack))


def test_a_new_pack_is_scrubbed_in_the_round_that_broke_off(rig: Rig, hooks: Hooks) -> None:
    for number in range(3):
        rig.put(f"image {number}", number)
    hooks.before(FolderBackend, "read", fail, when=about(rig.pack_of(block(1))))
    with pytest.raises(StoreError):
        scrub(rig.store)
    rig.put("new", 9)
    assert scrub(rig.store).packs == 3
    assert scrub(rig.store).packs == 4


def test_packs_that_wait_to_go_are_scrubbed_and_those_that_are_gone_keep_no_round_open(
    rig: Rig, hooks: Hooks
) -> None:
    rig.put("old", 1, 2)
    pack = rig.pack_of(block(1))
    with rig.store.writing() as writer:
        writer.write(b"x")
        rig.remove("old")
        rig.collect()
        assert [row.id for row in rig.rows(State.RETIRING)] == [pack]
        assert scrub(rig.store).packs == 1
    rig.put("new", 3)
    hooks.before(FolderBackend, "delete", fail, when=of_packs)
    with pytest.raises(StoreError):
        collect(rig.store)
    assert [row.id for row in rig.rows(State.GONE)] == [pack]
    for _ in range(3):
        assert scrub(rig.store).packs == 1


def test_a_scrub_is_no_faster_than_it_may_be(rig: Rig) -> None:
    for number in range(3):
        rig.put(f"image {number}", number)
    slept: list[float] = []
    done = scrub(rig.store, rate=1, sleep=slept.append)
    assert len(slept) == 3
    # A byte a second: what has been read by then would have taken so long.
    assert slept[1] > done.bytes / 3 - 3600
    assert slept[2] > slept[1] + 60_000 - 3600
