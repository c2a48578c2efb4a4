"""Readers, checks, reindexing and dry runs beside writers and collectors, forced to meet."""

import pytest

from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.cut import Cut
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.heads import Heads
from meltemi.chunks.index.schema import State
from meltemi.chunks.pack import pack_object
from meltemi.chunks.reconcile import reindex
from meltemi.errors import (
    MeltemiError,
)
from tests.chunks.faults.rig import (
    Hooks,
    Rig,
    block,
    blocks,
    of_packs,
    see_nothing_behind,
)


def test_a_reader_goes_on_while_its_packs_are_moved(rig: Rig, hooks: Hooks) -> None:
    rig.put("old", *range(1, 12))
    rig.put("kept", 2, 4)
    old = rig.pack_of(block(2))

    def move() -> None:
        rig.remove("old")
        rig.collect()
        assert not rig.exists(old)

    hooks.before(FolderBackend, "read", move, when=lambda args: args[0] == pack_object(old))
    assert rig.read("kept") == blocks(2, 4)
    assert hooks.happened
    rig.see_clean()


def test_a_reader_of_an_image_that_is_removed_and_collected_tells_no_lie(
    rig: Rig, hooks: Hooks
) -> None:
    rig.put("gone", *range(1, 12))
    reader = rig.store.reader(rig.store.head("gone"))

    def vanish() -> None:
        rig.remove("gone")
        rig.collect()

    hooks.before(FolderBackend, "read", vanish, when=of_packs)
    with pytest.raises(MeltemiError, match="gone"):
        list(reader.read())
    assert list(rig.store.backend.names("bad")) == []
    rig.see_clean()


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (Blobs, "announce"),
        (FolderBackend, "write"),
        (Blobs, "record"),
        (Heads, "publish"),
        (Heads, "complete"),
    ],
)
def test_reindexing_while_a_writer_works(owner: type, step: str, rig: Rig, hooks: Hooks) -> None:
    rig.put("old", 1, 2)
    rig.remove("old")
    rig.put("kept", 2, 5)

    def both() -> None:
        reindex(rig.store)
        rig.collect()

    hooks.before(owner, step, lambda: reindex(rig.store))
    if step != "complete":
        hooks.after(owner, step, both)
    rig.put("new", 1, 2, 3)
    assert hooks.happened
    rig.see_clean()


@pytest.mark.parametrize("step", ["adopt", "adopt_head"])
def test_a_put_and_a_removal_while_reindexing(step: str, rig: Rig, hooks: Hooks) -> None:
    rig.put("old", 1, 2)
    rig.put("kept", 2, 5)

    def meanwhile() -> None:
        rig.put("new", 1, 7)
        rig.remove("old")

    hooks.before(
        CollectionIndex,
        step,
        meanwhile,
        when=lambda arguments: step == "adopt" or arguments[0].name == "old",
    )
    reindex(rig.store)
    assert hooks.happened
    # A head that was read before its removal comes back no more.
    rig.see_all()
    rig.see_clean()


def test_a_removal_while_a_collector_looks_for_unknown_heads(rig: Rig, hooks: Hooks) -> None:
    rig.put("old", 1, 2)
    rig.put("kept", 3)
    hooks.before(Heads, "known", lambda: rig.remove("old"))
    rig.collect()
    assert hooks.happened
    rig.see_clean()


def test_an_image_that_comes_and_goes_while_a_collector_looks_for_lost_heads(
    rig: Rig, hooks: Hooks
) -> None:
    rig.put("kept", 1)
    hooks.before(Heads, "named", lambda: rig.put("short-lived", 2))
    hooks.after(Heads, "named", lambda: rig.remove("short-lived"))
    rig.collect()
    assert len(hooks.happened) == 2
    rig.see_clean()


def test_a_put_while_a_collector_looks_for_unknown_packs(rig: Rig, hooks: Hooks) -> None:
    """What came after the list was made is not taken for unknown: a dry run would give up."""
    rig.put("old", 1, 2)
    hooks.after(CollectionIndex, "packs", lambda: rig.put("new", 2, 3))
    collect(rig.store, dry_run=True)
    assert hooks.happened
    rig.see_clean()


@pytest.mark.parametrize("action", ["put", "remove", "collect"])
@pytest.mark.parametrize(("owner", "step"), [(Heads, "known"), (Heads, "named"), (Blobs, "locate")])
def test_a_check_tells_only_of_what_is_wrong(
    owner: type, step: str, action: str, rig: Rig, hooks: Hooks
) -> None:
    rig.put("old", 1, 2, 3, 4, 5)
    rig.put("kept", 1)
    if action == "collect":
        rig.remove("old")

    def meanwhile() -> None:
        if action == "put":
            rig.put("new", 7, 8)
        elif action == "remove":
            rig.remove("old")
        collect(rig.store)

    hooks.before(owner, step, meanwhile)
    assert check(rig.store).problems == []
    assert hooks.happened
    rig.see_clean()


def test_collecting_twice_moves_nothing_the_second_time(rig: Rig) -> None:
    for number in range(5):
        rig.put(f"tiny {number}")
        rig.put(f"small {number}", number)
    rig.collect()
    before = {row.id for row in rig.rows(State.LIVE)}
    assert rig.collect().rewritten_packs == 0
    assert {row.id for row in rig.rows(State.LIVE)} == before
    see_nothing_behind(rig.store)


def test_a_dry_run_tells_of_what_waits_and_of_what_has_waited(rig: Rig) -> None:
    rig.put("old", 1, 2, 3, 4, 5)
    rig.put("kept", 1)
    rig.put("dead", 6)
    sizes = {row.id: row.size for row in rig.rows(State.LIVE)}
    dead, poor = sizes[rig.pack_of(block(6))], sizes[rig.pack_of(block(1))]
    with rig.store.writing(cut=Cut.FIXED):
        rig.remove("old")
        rig.remove("dead")
        told = collect(rig.store, dry_run=True)
        assert (told.dead_packs, told.rewritten_packs) == (1, 1)
        assert (told.freed, told.waiting) == (0, 2)
        assert rig.collect().waiting == 2
        told = collect(rig.store, dry_run=True)
        assert (told.freed, told.waiting) == (0, 2)
    told = collect(rig.store, dry_run=True)
    assert (told.dead_packs, told.rewritten_packs, told.waiting) == (0, 0, 0)
    assert told.freed == rig.collect().freed == dead + poor
    rig.see_clean()


def test_a_dry_run_frees_as_much_as_the_collection_after_it(rig: Rig) -> None:
    rig.put("old", 1, 2, 3, 4, 5)
    rig.put("kept", 1)
    rig.put("dead", 6)
    rig.remove("old")
    rig.remove("dead")
    before = sum(row.size for row in rig.rows(State.LIVE))
    told = collect(rig.store, dry_run=True)
    assert sum(row.size for row in rig.rows(State.LIVE)) == before
    assert told.freed == rig.collect().freed == before - sum(r.size for r in rig.rows(State.LIVE))
    rig.see_clean()


def test_a_dry_run_waits_for_no_session_that_seems_dead(rig: Rig) -> None:
    rig.put("dead", 6)
    rig.store.sessions.begin()
    rig.remove("dead")
    with rig.sql() as connection:
        connection.exec_driver_sql("UPDATE sessions SET seen = 0")
    told = collect(rig.store, dry_run=True)
    assert (told.waiting, told.freed) == (0, rig.rows(State.LIVE)[0].size)
    assert rig.store.sessions.count() == 1
    rig.bury_all()
    rig.see_clean()
