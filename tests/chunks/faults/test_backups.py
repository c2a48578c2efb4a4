"""An index, or packs, from a backup: nothing acknowledged goes, and what is missing is named."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from meltemi.chunks import session as sessions_module
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.cut import Cut
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.heads import Heads
from meltemi.chunks.opening import open_store
from meltemi.chunks.reconcile import reindex
from meltemi.errors import DamageError, MeltemiError, SessionLostError, StoreError
from tests.chunks.faults.rig import Hooks, Rig, block, blocks, of_heads, of_packs


class Place:
    """A store in a folder, which can be backed up and restored in parts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rig = Rig(open_store(str(folder / "store"), create=True))

    def back_up(self) -> None:
        """Copy everything, also in the middle of something: the index as a database sees it."""
        with self.rig.sql() as connection:
            connection.exec_driver_sql("SELECT 1")
            shutil.copytree(self.folder / "store", self.folder / "backup")

    def restore(self, *parts: str) -> None:
        """Bring some parts of it back as they were."""
        self.rig.store.close()
        for part in parts:
            now, then = self.folder / "store" / part, self.folder / "backup" / part
            for path in now.parent.glob(f"{part}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if then.is_dir():
                shutil.copytree(then, now)
            else:
                for path in then.parent.glob(f"{part}*"):
                    shutil.copy(path, now.parent)
        truth = self.rig.truth
        self.rig = Rig(open_store(str(self.folder / "store")))
        self.rig.truth = truth

    def age(self) -> None:
        """Let the sessions in the index be as old as they are in a backup."""
        with self.rig.sql() as connection:
            connection.exec_driver_sql("UPDATE sessions SET seen = 0")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give an empty store in a folder."""
    monkeypatch.setattr(sessions_module, "BEAT_SECONDS", 0.05)
    return Place(tmp_path)


def see_mended(place: Place, *, reindexed: bool) -> None:
    """See that a collection, after reindexing or at once, loses nothing and leaves nothing."""
    place.age()
    if reindexed:
        reindex(place.rig.store)
        place.rig.see_all()
    place.rig.see_clean()


@pytest.mark.parametrize("reindexed", [True, False])
def test_an_index_older_than_what_was_put_since(place: Place, *, reindexed: bool) -> None:
    place.rig.put("one", 1, 2)
    place.back_up()
    place.rig.put("two", 2, 3)
    place.restore("index.sqlite")
    see_mended(place, reindexed=reindexed)


@pytest.mark.parametrize(
    ("owner", "step", "when"),
    [
        (FolderBackend, "write", of_packs),
        (Blobs, "record", None),
        (Heads, "publish", None),
        (FolderBackend, "write", of_heads),
        (Heads, "complete", None),
    ],
)
@pytest.mark.parametrize("reindexed", [True, False])
def test_an_index_from_the_middle_of_a_put_that_was_then_acknowledged(
    owner: type,
    step: str,
    when: Callable[..., bool] | None,
    place: Place,
    hooks: Hooks,
    *,
    reindexed: bool,
) -> None:
    """It tells of packs and heads that are coming, from a session which will not come back."""
    place.rig.put("one", 1, 2)
    hooks.before(owner, step, place.back_up, when=when or bool)
    place.rig.put("two", 2, 3)
    assert hooks.happened
    place.restore("index.sqlite")
    see_mended(place, reindexed=reindexed)


@pytest.mark.parametrize("step", ["retire", "dismiss", "erase"])
@pytest.mark.parametrize("reindexed", [True, False])
def test_an_index_from_the_middle_of_a_collection(
    step: str, place: Place, hooks: Hooks, *, reindexed: bool
) -> None:
    place.rig.put("one", 1, 2, 3, 4)
    place.rig.put("two", 1)
    place.rig.remove("one")
    hooks.before(CollectionIndex, step, place.back_up)
    place.rig.collect()
    place.rig.put("three", 2, 5)
    assert hooks.happened
    place.restore("index.sqlite")
    place.age()
    if not reindexed and step != "erase":
        with pytest.raises(StoreError, match="meltemi store reindex"):
            collect(place.rig.store)
        assert check(place.rig.store).problems
    see_mended(place, reindexed=True)


def test_an_index_in_which_a_pack_was_going_that_was_needed_again(place: Place) -> None:
    """The pack was taken back by a put, and what it holds is nowhere else any more."""
    rig = place.rig
    rig.put("old", 1, 2, 3, 4, 5)
    rig.put("kept", 1)
    with rig.store.writing(cut=Cut.FIXED) as writer:
        writer.write(blocks(1, 2, 3, 9))
        writer._store()
        rig.remove("old")
        rig.collect()
        place.back_up()
        rig.finish(writer, "late", blocks(1, 2, 3, 9))
    reindex(rig.store)
    rig.see_clean()
    place.restore("index.sqlite")
    see_mended(place, reindexed=True)


def test_an_index_older_than_removals_and_collections(place: Place) -> None:
    rig = place.rig
    for number in range(4):
        rig.put(f"image {number}", number, number + 1, number + 10)
    place.back_up()
    rig.remove("image 0")
    rig.remove("image 2")
    rig.put("image 0", 20, 21)
    rig.collect()
    rig.collect()
    rig.put("new", 10, 12, 30)
    place.restore("index.sqlite")
    with pytest.raises(StoreError, match="meltemi store reindex"):
        collect(place.rig.store)
    # What is not there any more is relied on by nobody.
    with pytest.raises(SessionLostError, match="meltemi store reindex"):
        place.rig.put("relies", 10, 0)
    reindex(place.rig.store)
    place.rig.put("relies", 10, 0)
    see_mended(place, reindexed=False)


def test_the_index_is_lost_and_an_image_of_each_name_is_there_twice(place: Place) -> None:
    rig = place.rig
    rig.put("same", 1, 2)
    place.back_up()
    rig.remove("same")
    rig.put("same", 3, 4)
    place.restore("index.sqlite")
    old = place.folder / "backup" / "heads"
    for path in old.iterdir():
        shutil.copy(path, place.folder / "store" / "heads")
    reindex(place.rig.store)
    names = {head.name: place.rig.read(head.name) for head in place.rig.store.heads.all()}
    assert set(names.values()) == {blocks(1, 2), blocks(3, 4)}
    assert len(names) == 2
    other = next(name for name in names if name != "same")
    place.rig.truth = {"same": names["same"]}
    place.rig.store.remove(other)
    place.rig.see_clean()


def test_a_name_that_is_there_twice_and_as_long_as_it_may_be(place: Place) -> None:
    name = "x" * 255
    place.rig.put(name, 1)
    [head] = place.rig.store.heads.all()
    copy = replace(head, id="0" * 32)
    place.rig.store.backend.write(copy.object, copy.encode().encode())
    reindex(place.rig.store)
    other = next(known for known in place.rig.store.heads.all() if known.name != name)
    assert place.rig.read(other.name) == block(1)
    assert check(place.rig.store).problems == []
    # It can be named where a user names it.
    place.rig.store.remove(other.name)
    place.rig.see_clean()


def test_packs_older_than_the_index(place: Place) -> None:
    rig = place.rig
    rig.put("one", 1, 2)
    place.back_up()
    rig.put("two", 2, 3)
    rig.put("three", 4)
    lost = rig.pack_of(block(3))
    place.restore("packs")
    store = place.rig.store
    told = "\n".join(check(store).problems)
    assert f"pack {lost}" in told
    assert "image two:" in told
    assert "image three:" in told
    assert "image one:" not in told
    assert place.rig.read("one") == blocks(1, 2)
    with pytest.raises(DamageError, match=f"two.*{lost}.*reindex"):
        place.rig.read("two")
    with pytest.raises(StoreError, match="reindex"):
        collect(store)
    with pytest.raises(SessionLostError, match="reindex"):
        place.rig.put("new", 3, 9)
    done = reindex(store)
    assert lost in done.dropped_packs
    told = "\n".join(check(store).problems)
    assert "image two:" in told
    assert "image three:" in told
    # The same data, put again, mends the images that lack it.
    place.rig.put("again two", 2, 3)
    place.rig.put("again three", 4)
    place.rig.see_clean()


def test_heads_older_than_the_index(place: Place) -> None:
    rig = place.rig
    rig.put("one", 1, 2)
    place.back_up()
    rig.put("two", 2, 3)
    place.restore("heads")
    told = "\n".join(check(place.rig.store).problems)
    assert "image two:" in told
    assert "image one:" not in told
    with pytest.raises(StoreError, match="reindex"):
        collect(place.rig.store)
    assert reindex(place.rig.store).dropped_images == ["two"]
    del place.rig.truth["two"]
    place.rig.see_clean()


def test_an_index_that_was_never_there(place: Place) -> None:
    rig = place.rig
    rig.put("one", 1, 2)
    rig.put("two", 2, 3)
    for path in (place.folder / "store").glob("index.sqlite*"):
        path.unlink()
    rig.store.close()
    place.rig = Rig(open_store(str(place.folder / "store")))
    place.rig.truth = rig.truth
    reindex(place.rig.store)
    place.rig.see_clean()


def test_a_collection_with_an_index_that_knows_nothing_takes_everything_up(place: Place) -> None:
    rig = place.rig
    rig.put("one", 1, 2)
    rig.put("two", 2, 3)
    for path in (place.folder / "store").glob("index.sqlite*"):
        path.unlink()
    rig.store.close()
    place.rig = Rig(open_store(str(place.folder / "store")))
    place.rig.truth = rig.truth
    with pytest.raises(MeltemiError, match="reindex"):
        collect(place.rig.store, dry_run=True)
    collect(place.rig.store)
    place.rig.see_clean()
