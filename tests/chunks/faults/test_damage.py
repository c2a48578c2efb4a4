"""Flipped bits, everywhere: what they hit is named with what to do, and never served as data."""

import errno
import json
import os
from pathlib import Path
from random import Random

import pytest

from meltemi.chunks import footers, tree
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.blob import BlobId, chunk_id
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.schema import State
from meltemi.chunks.manifest import decode_root, decode_segment
from meltemi.chunks.opening import open_store
from meltemi.chunks.pack import HEADER_BYTES
from meltemi.chunks.reconcile import reindex
from meltemi.chunks.scrubbing import scrub
from meltemi.errors import DamageError, QuotaError, SessionLostError, StoreError
from tests.chunks.faults.damaging import IMAGES, complaint, flip, path_of, put_again, read_all
from tests.chunks.faults.rig import Hooks, Rig, block


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_in_a_blob(seed: int, filled: Rig, tmp_path: Path) -> None:
    pack = filled.pack_of(block(3))
    path = path_of(tmp_path, pack)
    # The third of its blocks, which two images have.
    begin = HEADER_BYTES + 2 * len(block(3))
    flip(path, Random(seed), begin, begin + len(block(3)))
    blob = chunk_id(block(3))
    for name in ("one", "two"):
        with pytest.raises(DamageError, match=f"image {name}: .*{pack}.*{blob.hex()}.*again heals"):
            filled.read(name)
    assert filled.read("three") == block(5)
    told = "\n".join(check(filled.store).problems)
    assert all(f"image {name}: blob {blob.hex()}" in told for name in ("one", "two"))
    assert "image three" not in told
    assert any(blob.hex() in problem for problem in scrub(filled.store).problems)
    collect(filled.store)
    # No hit any more, also after the index was rebuilt.
    reindex(filled.store)
    put_again(filled)
    filled.see_clean()
    assert scrub(filled.store).problems == scrub(filled.store).problems == []
    assert list(filled.store.backend.names("bad")) == []


def test_damage_on_a_full_disk_is_named_all_the_same(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_this: object, name: str, _data: object) -> None:
        raise QuotaError(f"writing {name}: No space left on device")

    pack = filled.pack_of(block(3))
    flip(path_of(tmp_path, pack), Random(0), HEADER_BYTES, HEADER_BYTES + len(block(1)))
    with monkeypatch.context() as patches:
        patches.setattr(FolderBackend, "write", full)
        with pytest.raises(DamageError, match=r"image one: .*is damaged; .*could not be noted"):
            filled.read("one")
    assert list(filled.store.backend.names("bad")) == []
    # The next who reads it notes it.
    with pytest.raises(DamageError, match=r"again heals it$"):
        filled.read("one")
    assert len(list(filled.store.backend.names("bad"))) == 1


def test_a_disk_that_cannot_read_a_sector(filled: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, the rest of its pack and of the store is read, and the same data heals it."""
    pack = filled.pack_of(block(2))
    sector = HEADER_BYTES + len(block(1)) + 512
    pread = os.pread

    def broken(file: int, length: int, offset: int) -> bytes:
        here = Path(f"/proc/self/fd/{file}").readlink().name == pack
        if here and offset <= sector < offset + length:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(file, length, offset)

    monkeypatch.setattr(os, "pread", broken)
    monkeypatch.setattr(footers, "_TAIL", 1024)
    problems = scrub(filled.store).problems
    assert [f"packs/{pack[:2]}/{pack}: Input/output error" in line for line in problems] == [True]
    assert read_all(filled).keys() == {"one"}
    told = "\n".join(check(filled.store).problems)
    assert f"image one: blob {chunk_id(block(2)).hex()} cannot be had" in told
    assert told.count("image ") == 1
    collect(filled.store)
    put_again(filled)
    filled.see_clean()
    assert scrub(filled.store).problems == []


def test_a_flipped_bit_in_a_blob_that_a_collector_is_the_first_to_read(
    filled: Rig, tmp_path: Path
) -> None:
    """It is not moved as if it were sound, and its pack stays with all that is sound in it."""
    filled.put("kept", 1)
    pack = filled.pack_of(block(1))
    flip(path_of(tmp_path, pack), Random(7), HEADER_BYTES, HEADER_BYTES + len(block(1)))
    filled.remove("one")
    done = collect(filled.store)
    name = chunk_id(block(1))
    assert done.damaged == [f"pack {pack}: blob {name.hex()}"]
    assert filled.pack_of(block(1)) == pack
    assert filled.exists(pack)
    assert [name for name, _ in filled.store.backend.names("bad")] == [f"bad/{pack}-{name.hex()}"]
    with pytest.raises(DamageError, match=f"image kept: .*{name.hex()}"):
        filled.read("kept")
    put_again(filled)
    filled.see_clean()


def test_a_flipped_bit_in_a_manifest(filled: Rig, tmp_path: Path) -> None:
    head = filled.store.head("one")
    location = filled.store.blobs.locate([head.manifest])[head.manifest]
    begin = location.place.offset
    flip(path_of(tmp_path, location.pack), Random(1), begin, begin + location.place.stored)
    with pytest.raises(DamageError, match=f"image one: .*{head.manifest.hex()}"):
        filled.read("one")
    assert filled.read("two") == filled.truth["two"]
    # Nobody knows what it needs: nothing is deleted.
    filled.remove("three")
    with pytest.raises(DamageError, match="image one: its manifest"):
        collect(filled.store)
    assert any("image one: " in problem for problem in check(filled.store).problems)
    put_again(filled)
    filled.see_clean()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("part", ["footer", "trailer", "header"])
def test_a_flipped_bit_around_the_blobs(seed: int, part: str, filled: Rig, tmp_path: Path) -> None:
    pack = filled.pack_of(block(1))
    path = path_of(tmp_path, pack)
    size = path.stat().st_size
    ends = {
        "footer": (size - 44 - 4 * 42, size - 44),
        "trailer": (size - 44, size),
        "header": (0, HEADER_BYTES),
    }
    flip(path, Random(seed), *ends[part])
    # The index still says where everything is, and every blob is verified.
    filled.see_all()
    assert any(f"pack {pack}: " in problem for problem in check(filled.store).problems)
    assert any(f"pack {pack}: " in problem for problem in scrub(filled.store).problems)
    filled.see_clean()
    assert scrub(filled.store).problems == []
    assert list(filled.store.backend.names("bad")) == []
    assert not path.exists()


@pytest.mark.parametrize("part", ["footer", "trailer"])
def test_a_footer_that_is_damaged_when_the_index_is_lost(
    part: str, filled: Rig, tmp_path: Path
) -> None:
    """Then nobody knows what the pack holds, but what lacks it is named, and nothing is deleted."""
    pack = filled.pack_of(block(1))
    path = path_of(tmp_path, pack)
    size = path.stat().st_size
    begin, end = {"footer": (size - 44 - 4 * 42, size - 44), "trailer": (size - 44, size)}[part]
    flip(path, Random(0), begin, end)
    for file in (tmp_path / "store").glob("index.sqlite*"):
        file.unlink()
    filled.store.close()
    rebuilt = Rig(open_store(str(tmp_path / "store")))
    rebuilt.truth = filled.truth
    assert any(f"pack {pack}: " in problem for problem in reindex(rebuilt.store).damaged)
    assert "image one: " in read_all(rebuilt)["one"]
    assert any("image one: " in line for line in check(rebuilt.store).problems)
    with pytest.raises(DamageError):
        collect(rebuilt.store)
    assert path.exists()
    put_again(rebuilt)
    rebuilt.see_clean()
    assert not path.exists()
    rebuilt.store.close()


def test_a_pack_that_nobody_can_read_stays_as_long_as_an_image_lacks_something(
    filled: Rig, tmp_path: Path
) -> None:
    """Its manifest is there, so that a collector can go on, but a chunk of it is not."""
    pack = filled.pack_of(block(1))
    path = path_of(tmp_path, pack)
    flip(path, Random(0), path.stat().st_size - 44, path.stat().st_size)
    with filled.sql() as connection:
        known = chunk_id(block(1)).hex()
        connection.exec_driver_sql(f"DELETE FROM blobs WHERE id = x'{known}'")
    done = collect(filled.store)
    assert any(f"pack {pack}: " in problem for problem in done.damaged)
    assert path.exists()
    put_again(filled)
    filled.see_clean()
    assert not path.exists()


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_in_a_head(seed: int, filled: Rig, tmp_path: Path) -> None:
    head = filled.store.head("one")
    path = tmp_path / "store" / head.object
    flip(path, Random(seed), 0, path.stat().st_size)
    assert any("image one: " in problem for problem in check(filled.store).problems)
    filled.see_all()
    assert head.id in "\n".join(reindex(filled.store).damaged)
    collect(filled.store)
    filled.see_all()


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_in_what_says_that_it_is_a_store(
    seed: int, filled: Rig, tmp_path: Path
) -> None:
    path = tmp_path / "store" / "store.json"
    before = json.loads(path.read_text())
    flip(path, Random(seed), 0, path.stat().st_size)
    filled.store.close()
    if not complaint(lambda: open_store(str(tmp_path / "store")).close()):
        assert json.loads(path.read_text()) == before


@pytest.fixture
def deep(filled: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Give a store with two images that share all but one of the segments of high trees."""
    monkeypatch.setattr(tree, "_LEAST_ENTRIES", 2)
    monkeypatch.setattr(tree, "MOST_ENTRIES", 3)
    filled.put("deep", *range(10, 40))
    filled.put("deeper", *range(10, 42))
    top = decode_root(filled.store.fetch(filled.store.head("deep").manifest)).top
    assert top.level > 1
    return filled


def leaf_of(rig: Rig, name: str) -> BlobId:
    """Give the first leaf of an image's manifest."""
    top = decode_root(rig.store.fetch(rig.store.head(name).manifest)).top
    while True:
        child = top.children[0].segment
        top = decode_segment(rig.store.fetch(child))
        if not top.level:
            return child


def test_what_high_trees_need_is_kept(deep: Rig) -> None:
    deep.remove("deep")
    for name in IMAGES:
        deep.remove(name)
    deep.see_clean()
    deep.remove("deeper")
    deep.see_clean()
    assert deep.rows(*State) == []


def test_a_flipped_bit_below_a_leaf_is_told_of_every_image(deep: Rig, tmp_path: Path) -> None:
    name = chunk_id(block(11))
    location = deep.store.blobs.locate([name])[name]
    begin = location.place.offset
    flip(path_of(tmp_path, location.pack), Random(1), begin, begin + location.place.stored)
    assert scrub(deep.store).problems
    told = check(deep.store).problems
    for image in ("deep", "deeper"):
        assert any(f"image {image}: blob {name.hex()}" in line for line in told)
    deep.put("again", *range(10, 42))
    deep.see_clean()


def test_a_flipped_bit_in_a_leaf_is_told_of_every_image(deep: Rig, tmp_path: Path) -> None:
    leaf = leaf_of(deep, "deep")
    assert leaf == leaf_of(deep, "deeper")
    location = deep.store.blobs.locate([leaf])[leaf]
    begin = location.place.offset
    flip(path_of(tmp_path, location.pack), Random(1), begin, begin + location.place.stored)
    told = check(deep.store).problems
    for image in ("deep", "deeper"):
        assert any(f"image {image}: " in line and leaf.hex() in line for line in told)
        with pytest.raises(DamageError, match=leaf.hex()):
            deep.read(image)
    with pytest.raises(DamageError, match=f"its manifest: .*{leaf.hex()}"):
        collect(deep.store)
    deep.put("again", *range(10, 42))
    deep.see_clean()


def test_a_lost_pack(filled: Rig, tmp_path: Path) -> None:
    pack = filled.pack_of(block(4))
    path_of(tmp_path, pack).unlink()
    with pytest.raises(DamageError, match=f"image two: .*{pack}.*reindex"):
        filled.read("two")
    told = "\n".join(check(filled.store).problems)
    assert f"pack {pack}" in told
    assert "image two: " in told
    assert any(pack in problem for problem in scrub(filled.store).problems)
    with pytest.raises(StoreError, match=f"{pack}.*reindex"):
        collect(filled.store)
    with pytest.raises(SessionLostError, match=f"{pack}.*reindex"):
        filled.put("new", 4)
    assert reindex(filled.store).dropped_packs == [pack]
    with filled.sql() as connection:
        nowhere = "SELECT count(*) FROM blobs WHERE pack NOT IN (SELECT number FROM packs)"
        assert connection.exec_driver_sql(nowhere).scalar() == 0
    with pytest.raises(DamageError, match=r"image two: .*put the same data again"):
        filled.read("two")
    put_again(filled)
    filled.see_clean()


@pytest.mark.parametrize("copies", [2, 3])
def test_a_second_copy_of_what_is_damaged_is_kept_and_heals_it(
    copies: int, filled: Rig, hooks: Hooks, tmp_path: Path
) -> None:
    """Writers at work at the same time store the same twice; the index knows one place of it."""

    def put(number: int) -> None:
        if number < copies:
            hooks.before(Blobs, "record", lambda: put(number + 1))
            filled.put(f"copy {number}", 7)

    put(0)
    assert len(hooks.happened) == copies
    pack = filled.pack_of(block(7))
    flip(path_of(tmp_path, pack), Random(0), HEADER_BYTES, HEADER_BYTES + len(block(7)))
    assert len(scrub(filled.store).problems) == 1
    filled.collect()
    filled.see_clean()
    assert scrub(filled.store).problems == []
