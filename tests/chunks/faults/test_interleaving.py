"""Writers, readers and collectors at work at once, each meeting forced at its exact moment.

What happens in between is done by the test's own thread, within a method of the other one: every
step of the index is one transaction, so this is what several processes could do to each other.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest

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
from meltemi.chunks.scrubbing import scrub
from meltemi.errors import (
    ConflictError,
    VanishedError,
)
from tests.chunks.faults.rig import (
    Hooks,
    Rig,
    block,
    blocks,
    of_heads,
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
