"""Writers, collectors and reindexers that are taken for dead, each meeting forced at its moment."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from meltemi.chunks import session as sessions_module
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.collector import collect
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.heads import Heads
from meltemi.chunks.pack import pack_object
from meltemi.chunks.reconcile import reindex
from meltemi.errors import (
    BusyError,
    MeltemiError,
    SessionLostError,
)
from tests.chunks.faults.rig import (
    Hooks,
    Rig,
    block,
    of_heads,
    of_packs,
)


def dead_and_collected(rig: Rig) -> None:
    """Take everybody for dead, as a collector does, and collect."""
    rig.bury_all()
    rig.collect()
    rig.collect()


@pytest.mark.parametrize(
    ("owner", "step", "when"),
    [
        (Blobs, "announce", None),
        (FolderBackend, "write", of_packs),
        (Blobs, "record", None),
        (FolderBackend, "size", of_packs),
        (Heads, "publish", None),
        (FolderBackend, "write", of_heads),
    ],
)
def test_a_writer_taken_for_dead_wakes_up(
    owner: type,
    step: str,
    when: Callable[..., bool] | None,
    rig: Rig,
    hooks: Hooks,
) -> None:
    rig.put("old", 1, 2)
    hits = rig.store.blobs.hits

    def die() -> None:
        rig.remove("old")
        dead_and_collected(rig)

    if when is None:
        hooks.before(owner, step, die)
    else:
        hooks.before(owner, step, die, when=when)
    with pytest.raises(SessionLostError):
        rig.put("new", 1, 2, 3)
    assert hooks.happened
    assert hits([]) == {}
    rig.see_all()
    rig.see_clean()
    rig.put("new", 1, 2, 3)
    rig.see_clean()


def test_a_writer_taken_for_dead_publishes_nothing_even_for_a_moment(
    rig: Rig, hooks: Hooks
) -> None:
    hooks.before(Heads, "publish", rig.bury_all)
    hooks.before(FolderBackend, "write", lambda: None, when=of_heads)
    with pytest.raises(SessionLostError):
        rig.put("new", 1, 2)
    assert hooks.happened == ["Heads.publish"]
    rig.see_clean()


@pytest.mark.parametrize(
    "statement", ["UPDATE packs SET state = 3", "UPDATE packs SET state = 0", "DELETE FROM packs"]
)
def test_nothing_is_published_that_relies_on_what_the_index_does_not_stand_for(
    statement: str, rig: Rig, hooks: Hooks
) -> None:
    """Even though the session lives, and the packs are there."""

    def spoil() -> None:
        with rig.sql() as connection:
            connection.exec_driver_sql(statement)

    hooks.before(Heads, "publish", spoil)
    hooks.before(FolderBackend, "write", lambda: None, when=of_heads)
    with pytest.raises(SessionLostError, match="relies on"):
        rig.put("new", 1, 2)
    assert hooks.happened == ["Heads.publish"]


def test_a_writer_taken_for_dead_after_its_head_is_written_has_succeeded(
    rig: Rig, hooks: Hooks
) -> None:
    """What the head's object says is true: packs and heads are all there is to an image."""

    def die() -> None:
        rig.bury_all()
        collect(rig.store)
        collect(rig.store)

    hooks.before(Heads, "complete", die)
    rig.put("new", 1, 2, 3)
    assert hooks.happened
    rig.see_clean()


def test_a_head_written_too_late_is_taken_back_though_it_was_adopted(
    rig: Rig, hooks: Hooks
) -> None:
    hooks.before(FolderBackend, "write", lambda: dead_and_collected(rig), when=of_heads)

    def adopt() -> None:
        with suppress(MeltemiError):  # its data is gone
            collect(rig.store)
        with rig.sql() as connection:
            connection.exec_driver_sql("UPDATE heads SET state = 3, name = NULL")

    hooks.before(Heads, "complete", adopt)
    with pytest.raises(SessionLostError):
        rig.put("new", 1, 2)
    assert len(hooks.happened) == 2
    rig.see_clean()


def test_a_head_written_too_late_is_no_image_while_it_is_taken_back(rig: Rig, hooks: Hooks) -> None:
    """Else a collector would take it up, and not find its data."""
    hooks.before(FolderBackend, "write", lambda: dead_and_collected(rig), when=of_heads)

    def look() -> None:
        collect(rig.store)
        assert rig.store.heads.all() == []

    hooks.before(FolderBackend, "delete", look, when=of_heads)
    with pytest.raises(SessionLostError):
        rig.put("new", 1, 2)
    assert len(hooks.happened) == 2
    rig.see_clean()


def test_the_name_of_a_head_written_too_late_is_free_while_it_is_taken_back(
    rig: Rig, hooks: Hooks
) -> None:
    hooks.before(Heads, "complete", rig.bury_all)
    hooks.before(FolderBackend, "delete", lambda: rig.put("new", 3), when=of_heads)
    with pytest.raises(SessionLostError):
        rig.put("new", 1, 2)
    assert len(hooks.happened) == 2
    rig.see_clean()


def test_two_collectors(rig: Rig, hooks: Hooks) -> None:
    rig.put("old", 1)
    rig.remove("old")

    def second() -> None:
        with pytest.raises(BusyError, match="is at work on it"):
            collect(rig.store)
        with pytest.raises(BusyError):
            reindex(rig.store)
        with pytest.raises(BusyError):
            collect(rig.store, dry_run=True)

    hooks.before(CollectionIndex, "retire", second)
    rig.collect()
    assert hooks.happened
    rig.see_clean()


@pytest.mark.parametrize("step", ["adopt", "retire", "dismiss", "condemned", "erase", "revive"])
def test_a_collector_taken_for_dead_deletes_nothing_when_it_wakes_up(
    step: str, rig: Rig, hooks: Hooks
) -> None:
    rig.put("old", 1, 2, 3, 4)
    rig.put("kept", 1)
    rig.put("dead", 5)
    if step == "adopt":
        with rig.sql() as connection:
            connection.exec_driver_sql("DELETE FROM packs")
    rig.remove("dead")
    if step == "revive":
        with rig.sql() as connection:
            connection.exec_driver_sql("UPDATE packs SET state = 2, noted = 0")
    else:
        rig.remove("old")
    there: list[str] = []

    def objects() -> list[str]:
        return sorted(name for name, _ in rig.store.backend.names("packs"))

    def meanwhile() -> None:
        rig.bury_all()
        rig.collect()
        rig.put("new", 5, 2)
        rig.collect()
        there.extend(objects())

    hooks.before(CollectionIndex, step, meanwhile)
    with pytest.raises(SessionLostError):
        collect(rig.store)
    assert hooks.happened
    assert objects() == there
    rig.see_clean()


@pytest.mark.parametrize("step", ["adopt", "adopt_head", "drop", "drop_head", "settle_head"])
def test_who_reindexes_and_is_taken_for_dead_changes_nothing_when_it_wakes_up(
    step: str, rig: Rig, hooks: Hooks
) -> None:
    backend = rig.store.backend
    head = rig.put("one", 1)
    if step == "drop":
        backend.delete(pack_object(rig.pack_of(block(1))))
    elif step == "drop_head":
        backend.delete(head.object)
    elif step == "settle_head":
        with rig.sql() as connection:
            connection.exec_driver_sql("UPDATE heads SET state = 0")
    elif step == "adopt_head":
        with rig.sql() as connection:
            connection.exec_driver_sql("DELETE FROM heads")
    else:
        with rig.sql() as connection:
            connection.exec_driver_sql("DELETE FROM blobs")
            connection.exec_driver_sql("DELETE FROM packs")
    there: list[object] = []

    def meanwhile() -> None:
        rig.bury_all()
        there.extend(told(rig))

    hooks.before(CollectionIndex, step, meanwhile)
    with pytest.raises(SessionLostError):
        reindex(rig.store)
    assert hooks.happened
    assert told(rig) == there


def told(rig: Rig) -> list[object]:
    """Give everything that the index says of packs, blobs and heads."""
    with rig.sql() as connection:
        return [
            tuple(row)
            for table in ("packs", "blobs", "heads")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY id").all()
        ]


def test_a_collector_that_died_does_not_keep_others_out(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "BEAT_SECONDS", 0.01)
    rig.put("old", 1)
    rig.remove("old")
    for act in (collect, reindex):
        dead = rig.store.sessions.begin()
        rig.store.sessions.lease(dead)
        with pytest.raises(BusyError):
            act(rig.store)
        with rig.sql() as connection:
            connection.exec_driver_sql("UPDATE sessions SET seen = 0")
        act(rig.store)
        assert rig.store.sessions.count() == 0
    rig.see_clean()
