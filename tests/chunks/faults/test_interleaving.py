"""Writers, readers and collectors at work at once, each meeting forced at its exact moment.

What happens in between is done by the test's own thread, within a method of the other one: every
step of the index is one transaction, so this is what several processes could do to each other.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from meltemi.chunks import session as sessions_module
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.cut import Cut
from meltemi.chunks.head import Head
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.heads import Heads
from meltemi.chunks.index.schema import State
from meltemi.chunks.pack import pack_object
from meltemi.chunks.reconcile import reindex
from meltemi.chunks.scrubbing import scrub
from meltemi.errors import (
    BusyError,
    ConflictError,
    MeltemiError,
    SessionLostError,
    VanishedError,
)
from tests.chunks.faults.rig import (
    Hooks,
    Rig,
    block,
    blocks,
    of_heads,
    of_packs,
    see_nothing_behind,
)


def test_a_hit_before_retirement_and_publication_after_it(rig: Rig, hooks: Hooks) -> None:
    rig.put("old", 1, 2, 3)
    pack = rig.pack_of(block(1))

    def collect_all() -> None:
        rig.remove("old")
        assert rig.collect().waiting == 1
        assert [row.id for row in rig.rows(State.RETIRING)] == [pack]

    hooks.before(Heads, "publish", collect_all)
    rig.put("new", 1, 4)
    assert hooks.happened
    assert pack in {row.id for row in rig.rows(State.LIVE)}, "it was not revived"
    rig.see_all()
    rig.see_clean()


def test_a_pack_being_retired_takes_no_hits(rig: Rig) -> None:
    rig.put("old", 1, 2, 3)
    pack = rig.pack_of(block(1))
    with rig.store.writing() as elder:
        elder.write(b"x")
        rig.remove("old")
        rig.collect()
        rig.put("new", 1, 2)
        assert rig.pack_of(block(1)) != pack
    rig.collect()
    assert not rig.exists(pack)
    rig.see_clean()


@pytest.mark.parametrize("damaged", [False, True])
def test_the_index_forgets_what_was_in_a_pack_that_went(rig: Rig, *, damaged: bool) -> None:
    rig.put("old", 1, 2, 3)
    pack = rig.pack_of(block(1))
    with rig.store.writing() as elder:
        elder.write(b"x")
        rig.remove("old")
        rig.collect()
        if damaged:
            spoil_footer(rig, pack)
    rig.collect()
    assert not rig.exists(pack)
    with rig.sql() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM blobs").scalar() == 0


def spoil_footer(rig: Rig, pack: str) -> None:
    """Damage the end of a pack."""
    backend = rig.store.backend
    assert isinstance(backend, FolderBackend)
    path = backend._folder / pack_object(pack)
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("moment", ["retire", "dismiss", "erase"])
def test_publication_while_a_collector_is_between_two_steps(
    moment: str, rig: Rig, hooks: Hooks
) -> None:
    rig.put("old", 1, 2, 3)
    rig.remove("old")
    hooks.before(CollectionIndex, moment, lambda: rig.put("new", 1, 2))
    rig.collect()
    assert hooks.happened
    rig.see_all()
    rig.see_clean()


@pytest.mark.parametrize("moment", ["packs", "retire", "dismiss"])
def test_an_open_upload_with_hits_is_published_between_two_steps(
    moment: str, rig: Rig, hooks: Hooks
) -> None:
    rig.put("old", 1, 2, 3)
    with rig.store.writing(cut=Cut.FIXED) as writer:
        writer.write(blocks(1, 2, 4))
        rig.remove("old")

        def publish() -> None:
            rig.finish(writer, "new", blocks(1, 2, 4))

        hooks.before(CollectionIndex, moment, publish)
        rig.collect()
        if not hooks.happened:
            publish()
    rig.see_all()
    rig.see_clean()


def test_all_uploads_that_are_older_than_a_retirement_are_waited_for(rig: Rig) -> None:
    rig.put("old", 1, 2, 3)
    with rig.store.writing(cut=Cut.FIXED) as younger:
        with rig.store.writing(cut=Cut.FIXED) as youngest:
            youngest.write(blocks(2, 5))
            younger.write(blocks(1, 4))
            rig.remove("old")
            rig.collect()
            assert rig.collect().waiting == 1
        assert rig.collect().waiting == 1
        rig.finish(younger, "new", blocks(1, 4))
    rig.see_clean()


def test_the_youngest_of_them_too(rig: Rig) -> None:
    rig.put("old", 1, 2, 3)
    with ExitStack() as stack:
        with rig.store.writing(cut=Cut.FIXED) as elder:
            elder.write(blocks(1, 4))
            young = stack.enter_context(rig.store.writing(cut=Cut.FIXED))
            young.write(blocks(2, 5))
            rig.remove("old")
            rig.collect()
        assert rig.collect().waiting == 1
        rig.finish(young, "new", blocks(2, 5))
    rig.see_clean()


def test_an_upload_that_began_just_before_a_retirement_is_waited_for(
    rig: Rig, hooks: Hooks
) -> None:
    """Its session is the newest there is, newer than that of the collector."""
    rig.put("old", 1, 2, 3)
    rig.remove("old")
    with ExitStack() as stack:
        writers = []

        def begin() -> None:
            writers.append(stack.enter_context(rig.store.writing(cut=Cut.FIXED)))
            writers[0].write(blocks(1, 4))

        hooks.before(CollectionIndex, "retire", begin)
        assert rig.collect().waiting == 1
        rig.finish(writers[0], "new", blocks(1, 4))
    rig.see_clean()


def moved_then_unneeded(rig: Rig) -> None:
    """Bring a blob from one pack to another, and take away the last image that needs it."""
    rig.remove("old")
    rig.collect()
    rig.remove("kept")


def test_a_moved_blob_whose_new_pack_is_retired_while_a_session_relies_on_the_old(
    rig: Rig,
) -> None:
    rig.put("old", 1, 2, 3, 4, 5)
    rig.put("kept", 1)
    old = rig.pack_of(block(1))
    with rig.store.writing(cut=Cut.FIXED) as writer:
        writer.write(blocks(1, 9))
        moved_then_unneeded(rig)
        new = rig.pack_of(block(1))
        assert new != old
        rig.collect()
        rig.collect()
        assert {row.id for row in rig.rows(State.RETIRING)} >= {old, new}
        rig.finish(writer, "late", blocks(1, 9))
    rig.see_all()
    rig.see_clean()


def test_that_moved_blob_published_just_before_its_new_pack_is_dismissed(
    rig: Rig, hooks: Hooks
) -> None:
    """The marks do not know the new image, no session is left: only the count of heads tells."""
    rig.put("old", 1, 2, 3, 4, 5)
    rig.put("kept", 1)
    with rig.store.writing(cut=Cut.FIXED) as writer:
        writer.write(blocks(1, 9))
        moved_then_unneeded(rig)
        new = rig.pack_of(block(1))
        rig.collect()  # retires the new pack
        number = {row.id: row.number for row in rig.rows(State.RETIRING)}[new]
        hooks.before(
            CollectionIndex,
            "dismiss",
            lambda: rig.finish(writer, "late", blocks(1, 9)),
            when=lambda arguments: bool(arguments[0] == number),
        )
        rig.collect()
    assert hooks.happened
    rig.see_all()
    rig.see_clean()


def test_that_moved_blob_published_while_its_new_pack_is_looked_for_in_the_heads(
    rig: Rig, hooks: Hooks
) -> None:
    """The heads are counted before they are read: what comes in between is not overlooked."""
    rig.put("old", 1, 2, 3, 4, 5)
    rig.put("kept", 1)
    with rig.store.writing(cut=Cut.FIXED) as writer:
        writer.write(blocks(1, 9))
        moved_then_unneeded(rig)
        rig.collect()  # retires the new pack
        hooks.after(Heads, "all", lambda: rig.finish(writer, "late", blocks(1, 9)))
        collect(rig.store)
    assert hooks.happened
    rig.see_all()
    rig.see_clean()


def test_that_moved_blob_with_a_damaged_footer_where_it_is(rig: Rig) -> None:
    """What nobody can say of a pack any more, the index still knows."""
    rig.put("old", 1, 2, 3, 4, 5)
    rig.put("kept", 1)
    with rig.store.writing(cut=Cut.FIXED) as writer:
        writer.write(blocks(1, 9))
        moved_then_unneeded(rig)
        new = rig.pack_of(block(1))
        rig.collect()
        rig.finish(writer, "late", blocks(1, 9))
    spoil_footer(rig, new)
    rig.collect()
    rig.collect()
    assert not rig.exists(new), "it was not written anew"
    rig.see_clean()


def test_a_name_removed_under_an_upload_with_hits_and_two_collections_in_a_row(
    rig: Rig, hooks: Hooks
) -> None:
    rig.put("old", 1, 2, 3)
    rig.put("other", 4, 5)

    def collect_twice() -> None:
        rig.remove("old")
        rig.collect()
        rig.remove("other")
        rig.collect()
        rig.collect()

    hooks.before(Heads, "publish", collect_twice)
    rig.put("new", 5, 1, 6)
    rig.see_all()
    rig.see_clean()


@pytest.mark.parametrize(
    ("owner", "step"),
    [(Blobs, "announce"), (FolderBackend, "write"), (Blobs, "record"), (Heads, "publish")],
)
def test_a_collection_in_the_middle_of_a_put(
    owner: type, step: str, rig: Rig, hooks: Hooks
) -> None:
    rig.put("kept", 1, 2)

    def look() -> None:
        rig.collect()
        assert check(rig.store).problems == []
        assert scrub(rig.store).problems == []

    hooks.before(owner, step, look)
    hooks.after(owner, step, look)
    rig.put("new", 2, 3)
    assert len(hooks.happened) == 2
    rig.see_clean()


@pytest.mark.parametrize("step", ["before", "after"])
def test_an_image_that_is_being_published_is_none_yet(step: str, rig: Rig, hooks: Hooks) -> None:
    def look() -> None:
        assert rig.store.find("new") is None
        assert rig.store.heads.all() == []
        assert rig.store.heads.named() == {}
        with pytest.raises(VanishedError):
            rig.store.remove("new")
        with pytest.raises(ConflictError, match="of that name already"):
            rig.put("new", 5)

    at = hooks.before if step == "before" else hooks.after
    at(FolderBackend, "write", look, when=of_heads)
    rig.put("new", 1, 2)
    assert hooks.happened
    rig.see_clean()


def test_a_name_is_free_as_soon_as_its_image_is_being_removed(rig: Rig, hooks: Hooks) -> None:
    rig.put("same", 1, 2)
    hooks.before(FolderBackend, "delete", lambda: rig.put("same", 3), when=of_heads)
    rig.store.remove("same")
    assert hooks.happened
    rig.see_clean()


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_collection_while_the_head_is_written(step: str, rig: Rig, hooks: Hooks) -> None:
    rig.put("old", 1, 2)
    rig.remove("old")
    at = hooks.before if step == "before" else hooks.after
    at(FolderBackend, "write", lambda: collect(rig.store), when=of_heads)
    rig.put("new", 2, 3)
    assert hooks.happened
    rig.see_clean()


def test_a_put_that_is_completed_between_the_marks_and_the_dismissal(
    rig: Rig, hooks: Hooks
) -> None:
    """It was published before the marks were made, and is in nobody's way any more after them."""
    rig.put("old", 1, 2)
    rig.remove("old")
    told: list[tuple[int, Head]] = []

    def remember(arguments: Sequence[Any]) -> bool:
        told.append((arguments[0], arguments[1]))
        return True

    def complete() -> None:
        session, head = told[0]
        rig.store.backend.write(head.object, head.encode().encode())
        rig.store.heads.complete(session, head)

    def collect_now() -> None:
        hooks.before(CollectionIndex, "dismiss", complete)
        collect(rig.store)

    hooks.after(Heads, "publish", collect_now, when=remember)
    rig.put("new", 1, 2)
    rig.see_all()
    rig.see_clean()


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
