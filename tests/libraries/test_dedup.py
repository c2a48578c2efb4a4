"""Archives on chunk stores, in folders: what is particular about them as libraries."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.opening import open_store
from meltemi.errors import (
    ArchiveError,
    BusyError,
    CorruptionError,
    MeltemiError,
    QuotaError,
    UsageError,
)
from meltemi.libraries.archive import AbsentArchive, open_any, open_archive
from meltemi.libraries.archive.dedup.contents import name_of
from meltemi.libraries.base import Changes, Library, Verifiable
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress
from meltemi.model.image import Image, Member
from tests.chunks.commanding import flip
from tests.libraries.archiving import ID, dumped, image
from tests.libraries.conformance import LibraryConformance
from tests.libraries.handling import DATA, MIB, content, listed, pieces

OTHER = ID.replace("1", "2")


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """Give the folder of an archive, which is not there yet."""
    return tmp_path / "vault"


@pytest.fixture
async def library(vault: Path) -> AsyncIterator[Library]:
    """Give an empty archive that can be written."""
    library = opened(vault, writable=True)
    yield library
    await library.close()


class TestFolder(LibraryConformance):
    """An archive in a folder keeps the contract of libraries."""

    @pytest.fixture
    def library(self, library: Library) -> Library:
        return library


class TestUnmade(LibraryConformance):
    """So does one that its first image makes."""

    @pytest.fixture
    async def library(self, vault: Path) -> AsyncIterator[Library]:
        library = await open_library(LibraryAddress(path=vault), writable=True, dedup=True)
        yield library
        await library.close()


def opened(folder: Path, *, writable: bool = False) -> Library:
    """Open an archive, and make it where it shall be written."""
    if writable and not (folder / "store.json").exists():
        from meltemi.libraries.archive.dedup.opening import open_dedup  # noqa: PLC0415

        return open_dedup(folder, None, name="vault", writable=True)
    return open_any(folder, name="vault", writable=writable, may_be_absent=False)


async def put(library: Library, data: bytes, **attributes: object) -> Image:
    made = await library.create(replace(image(), **attributes))  # type: ignore[arg-type]
    await library.upload(made.id, len(data), pieces(data))
    return await library.show(made.id)


async def stored(folder: Path, data: bytes = DATA, **attributes: object) -> Image:
    """Write one image to an archive, and let go of it."""
    library = opened(folder, writable=True)
    made = await put(library, data, **attributes)
    await library.close()
    return made


def weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "packs").rglob("*") if path.is_file())


def names(folder: Path) -> list[str]:
    """Name what there is, what only SQLite knows of aside."""
    found = folder.rglob("*") if folder.exists() else ()
    return sorted(path.name for path in found if "sqlite-" not in path.name)


def document(folder: Path, image_id: str = ID) -> Path:
    [path] = (folder / "images").glob(f"{image_id}.*")
    return path


# What it is


async def test_it_says_where_it_is(vault: Path, library: Library) -> None:
    assert library.name == "vault"
    assert library.identity == f"file://{vault}"
    assert library.project is None
    assert library.keeps_owners


async def test_what_was_written_is_read(vault: Path) -> None:
    made = await stored(
        vault, owner="someone", visibility="shared", updated_at="2021-01-02T03:04:05Z"
    )
    library = opened(vault, writable=True)
    await library.add_member(ID, Member("b", "accepted"))
    await library.close()
    source = opened(vault)
    assert await listed(source) == [made]
    assert await source.list_members(ID) == (Member("b", "accepted"),)
    assert await content(source, ID, 5) == DATA[5:]
    assert isinstance(source, Verifiable)
    await source.verify(ID)
    with pytest.raises(UsageError, match="reading only"):
        await source.delete(ID)
    await source.close()
    await source.close()


async def test_it_is_recognized(vault: Path) -> None:
    made = await stored(vault)
    for writable in (False, True):
        library = await open_library(LibraryAddress(path=vault), writable=writable)
        assert await listed(library) == [made]
        await library.close()


async def test_the_same_data_is_stored_once(vault: Path, library: Library) -> None:
    await put(library, DATA)
    before = weight(vault)
    await put(library, DATA, id=OTHER)
    assert weight(vault) == before
    changed = DATA[:MIB] + b"changed" + DATA[MIB:]
    await put(library, changed, id="")
    assert weight(vault) - before < MIB
    assert await content(library, OTHER) == DATA


async def test_what_was_deleted_goes_with_the_next_collection(
    vault: Path, library: Library
) -> None:
    await put(library, DATA)
    await put(library, b"other", id=OTHER)
    await library.delete(ID)
    await library.close()
    store = open_store(str(vault))
    assert collect(store).freed > 3 * MIB
    assert check(store).problems == []
    store.close()
    library = opened(vault, writable=True)
    assert [one.id for one in await listed(library)] == [OTHER]
    assert await content(library, OTHER) == b"other"
    assert document(vault).name == f"{ID}.deleted"
    await library.close()


# Opening


async def test_one_writes_and_many_read_at_a_time(vault: Path, library: Library) -> None:
    await put(library, DATA)
    with pytest.raises(BusyError, match="in use by another process"):
        opened(vault, writable=True)
    reader = opened(vault)
    assert [one.name for one in await listed(reader)] == ["one"]
    await library.update(ID, Changes({"name": "two"}))
    await put(library, b"new", id=OTHER)
    # What a reader has looked up is gone; it looks anew.
    assert [one.name for one in await listed(reader)] == ["two"]
    assert await content(reader, ID) == DATA
    await reader.close()


async def test_a_copy_without_its_index_is_read(vault: Path, tmp_path: Path) -> None:
    made = await stored(vault)
    names = ("index.sqlite*", "lock", "tmp")
    copy = shutil.copytree(vault, tmp_path / "copy", ignore=shutil.ignore_patterns(*names))
    source = opened(copy)
    assert await listed(source) == [made]
    assert await content(source, ID) == DATA
    await source.close()
    assert not list(copy.glob("index*"))
    writer = opened(copy, writable=True)
    await writer.upload((await writer.create(image(id=OTHER))).id, len(DATA), pieces(DATA))
    await writer.close()
    assert weight(copy) == weight(vault)


async def test_one_that_cannot_be_written_is_read(small: Path) -> None:
    made = await stored(small / "vault", b"data")
    before = names(small)
    remount(small, "ro")
    source = opened(small / "vault")
    assert await listed(source) == [made]
    assert await content(source, ID) == b"data"
    await source.close()
    assert names(small) == before


def remount(path: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(path)], check=True)


async def test_another_store_is_no_archive(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), create=True)
    with store.writing() as writer:
        writer.write(b"data")
        writer.finish("a name")
    store.close()
    for writable in (False, True):
        with pytest.raises(ArchiveError, match="not an archive"):
            open_any(tmp_path / "store", name="a", writable=writable, may_be_absent=True)


async def test_a_plain_archive_stays_one(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    await dumped(plain)
    with pytest.raises(UsageError, match="name another folder"):
        await open_library(LibraryAddress(path=plain), writable=True, dedup=True)
    library = open_archive(plain, name="a", writable=False)
    assert len(await listed(library)) == 1
    await library.close()


async def test_a_dry_run_makes_nothing(vault: Path) -> None:
    library = await open_library(LibraryAddress(path=vault), may_be_absent=True, dedup=True)
    assert isinstance(library, AbsentArchive)
    assert await listed(library) == []
    assert names(vault) == []


def test_what_does_not_belong_there_is_left_alone(vault: Path) -> None:
    vault.mkdir()
    (vault / "thesis.odt").write_text("years of work")
    for dedup in (False, True):
        with pytest.raises(ArchiveError, match="not an archive"):
            open_any(vault, name="a", writable=True, may_be_absent=True, dedup=dedup)
    assert names(vault) == ["thesis.odt"]


# Damage


def _altered(path: Path) -> None:
    flip(path, path.stat().st_size // 2)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _stretched(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def _renumbered(path: Path) -> None:
    path.rename(path.with_name(path.name.replace(f"{ID}.", f"{ID}.9", 1)))


def _given_to_another(path: Path) -> None:
    path.rename(path.with_name(path.name.replace(ID, OTHER)))


def _removed(path: Path) -> None:
    path.unlink()


def _huge(path: Path) -> None:
    os.truncate(path, 40 * MIB)


@pytest.mark.parametrize(
    "harm",
    [_altered, _cut, _emptied, _stretched, _renumbered, _given_to_another, _removed, _huge],
)
@pytest.mark.parametrize("writable", [False, True])
async def test_metadata_that_is_not_what_was_written_is_refused(
    vault: Path, harm: Callable[[Path], None], writable: bool
) -> None:
    await stored(vault)
    harm(document(vault))
    before = names(vault)
    library = opened(vault, writable=writable)
    with pytest.raises(ArchiveError) as caught:
        await listed(library)
    assert str(vault) in str(caught.value)
    await library.close()
    assert names(vault) == before


async def test_every_flipped_bit_of_the_metadata_is_seen(vault: Path) -> None:
    await stored(vault)
    path = document(vault)
    for at in range(path.stat().st_size):
        flip(path, at)
        library = opened(vault)
        with pytest.raises(ArchiveError):
            await listed(library)
        await library.close()
        flip(path, at)
    library = opened(vault)
    assert len(await listed(library)) == 1
    await library.close()


@pytest.mark.parametrize("harm", [_altered, _removed])
async def test_data_that_is_not_what_was_written_is_found(
    vault: Path, harm: Callable[[Path], None]
) -> None:
    await stored(vault)
    packs = [path for path in (vault / "packs").rglob("*") if path.is_file()]
    harm(max(packs, key=lambda path: path.stat().st_size))
    library = opened(vault)
    assert isinstance(library, Verifiable)
    with pytest.raises(CorruptionError, match=ID):
        await library.verify(ID)
    await library.close()


async def test_data_without_its_head_is_missing(vault: Path) -> None:
    await stored(vault)
    store = open_store(str(vault))
    [head] = store.heads.all()
    store.remove(head.name)
    store.close()
    library = opened(vault)
    with pytest.raises(ArchiveError, match=rf"{ID}\) is missing"):
        await listed(library)
    await library.close()


async def test_data_under_another_head_is_refused(vault: Path) -> None:
    await stored(vault)
    store = open_store(str(vault))
    [head] = store.heads.all()
    store.remove(head.name)
    with store.writing() as writer:
        writer.write(b"something else")
        writer.finish(name_of(ID))
    store.close()
    library = opened(vault)
    with pytest.raises(ArchiveError, match="disagree"):
        await listed(library)
    await library.close()


@pytest.mark.parametrize("folder", ["images", "packs", ""])
@pytest.mark.parametrize("kind", ["link", "pipe"])
async def test_links_and_special_files_are_refused(vault: Path, folder: str, kind: str) -> None:
    await stored(vault)
    strange = vault / folder / f"{OTHER}.deleted"
    if kind == "link":
        strange.symlink_to("/etc/passwd")
    else:
        os.mkfifo(strange)
    for writable in (False, True):
        with pytest.raises(ArchiveError, match="an archive must hold none"):
            opened(vault, writable=writable)


async def test_what_a_file_system_keeps_in_its_root_is_passed_by(vault: Path) -> None:
    await stored(vault)
    (vault / "lost+found").mkdir()
    (vault / "lost+found" / "#12").symlink_to("/etc/passwd")
    library = opened(vault)
    assert len(await listed(library)) == 1
    await library.close()
    (vault / "lost+found").rename(vault / "images" / "lost+found")
    with pytest.raises(ArchiveError, match="an archive must hold none"):
        opened(vault)


async def test_an_object_of_another_name_is_told(vault: Path) -> None:
    await stored(vault)
    (vault / "images" / "thesis.odt").touch()
    library = opened(vault)
    with pytest.raises(ArchiveError, match=r"images/thesis\.odt"):
        await listed(library)
    await library.close()


@pytest.mark.parametrize("mark", [b"", b"{}", b'{"format": "meltemi-dedup-archive", "version": 2}'])
async def test_an_archive_of_another_format_is_refused(vault: Path, mark: bytes) -> None:
    await stored(vault)
    (vault / "archive.json").write_bytes(mark)
    with pytest.raises(ArchiveError, match=str(vault)):
        opened(vault)


# Failures


async def test_a_failed_change_is_none(
    vault: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await put(library, DATA)
    fsync = os.fsync

    def full(fd: int) -> None:
        fsync(fd)
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(QuotaError):
        await library.update(ID, Changes({"name": "other"}))
    with pytest.raises(QuotaError):
        await library.create(image(id=OTHER))
    monkeypatch.undo()
    assert await listed(library) == [made]
    assert (await library.update(ID, Changes({"name": "third"}))).name == "third"
    await library.create(image(id=OTHER))
    assert document(vault).name.startswith(f"{ID}.4.")


async def test_an_upload_whose_metadata_fails_begins_anew(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meltemi.libraries.archive.dedup.documents import Documents  # noqa: PLC0415

    await library.create(image())

    def fail(*_: object) -> None:
        raise QuotaError("full")

    monkeypatch.setattr(Documents, "write", fail)
    with pytest.raises(QuotaError):
        await library.upload(ID, len(DATA), pieces(DATA))
    monkeypatch.undo()
    assert (await library.show(ID)).status == "queued"
    await library.upload(ID, 3, pieces(b"new"))
    assert await content(library, ID) == b"new"


async def test_an_image_deleted_while_it_is_filled_stays_deleted(
    vault: Path, library: Library
) -> None:
    await library.create(image())

    async def late() -> AsyncIterator[bytes]:
        yield DATA[:MIB]
        await library.delete(ID)
        yield DATA[MIB:]

    with pytest.raises(MeltemiError):
        await library.upload(ID, len(DATA), late())
    assert await listed(library) == []
    await library.close()
    store = open_store(str(vault))
    assert store.heads.all() == []
    store.close()
