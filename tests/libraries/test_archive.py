# ruff: noqa: ASYNC240 - nothing else waits for the event loop of a test
"""Archives as libraries: what they keep, who may open them, and what they verify."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meltemi.errors import (
    ArchiveError,
    BusyError,
    ConflictError,
    CorruptionError,
    ForbiddenError,
    RefusedError,
    UsageError,
)
from meltemi.libraries.archive import metadata, open_archive
from meltemi.libraries.base import Changes, Library, Verifiable
from meltemi.model.image import Member
from tests.libraries.archiving import ID, dumped, image, loaded, names
from tests.libraries.conformance import LibraryConformance
from tests.libraries.handling import DATA, MIB, content, hashes_of, listed, pieces


class TestConformance(LibraryConformance):
    """An archive keeps the contract of libraries."""

    @pytest.fixture
    def library(self, archive: Library) -> Library:
        return archive


# What it is


async def test_it_says_where_it_is(folder: Path, archive: Library) -> None:
    assert archive.name == "archive"
    assert archive.identity == f"file://{folder.resolve()}"
    assert archive.project is None
    assert archive.keeps_owners


async def test_links_to_an_archive_have_its_identity(folder: Path, archive: Library) -> None:
    await archive.close()
    link = folder.parent / "link"
    link.symlink_to(folder)
    other = open_archive(link, name="other", writable=False)
    assert other.identity == archive.identity
    await other.close()


async def test_what_was_written_is_read(folder: Path) -> None:
    times = {"created_at": "2020-01-02T03:04:05Z", "updated_at": "2021-01-02T03:04:05Z"}
    shown = {"owner": "someone", "visibility": "public", "os_hidden": True}
    made = await dumped(folder, DATA, **shown, **times)
    assert made.hashes == hashes_of(DATA, "sha512")
    assert (made.owner, made.visibility) == ("someone", "public")
    assert (made.created_at, made.updated_at) == tuple(times.values())
    source = open_archive(folder, name="source", writable=False)
    assert await listed(source) == [made]
    assert await content(source, ID, 5) == DATA[5:]
    await source.close()


async def test_changes_keep_the_times_of_the_source(archive: Library) -> None:
    made = await archive.create(image(updated_at="2021-01-02T03:04:05Z"))
    made = await archive.update(made.id, Changes({"name": "other"}))
    assert made.updated_at == "2021-01-02T03:04:05Z"
    made = await archive.update(made.id, Changes({"updated_at": "2022-01-02T03:04:05Z"}))
    assert made.updated_at == "2022-01-02T03:04:05Z"


async def test_members_are_kept_with_their_status(folder: Path, archive: Library) -> None:
    await archive.create(image(visibility="shared"))
    await archive.add_member(ID, Member("b", "accepted"))
    await archive.add_member(ID, Member("a", "pending"))
    await archive.add_member(ID, Member("a", "rejected"))
    await archive.close()
    source = open_archive(folder, name="source", writable=False)
    assert await source.list_members(ID) == (Member("a", "rejected"), Member("b", "accepted"))
    await source.close()


async def test_formats_are_settled_with_the_data(folder: Path, archive: Library) -> None:
    await archive.create(image(disk_format=None))
    await archive.update(ID, Changes({"disk_format": "iso"}))
    await archive.upload(ID, 4, pieces(b"data"))
    assert (folder / "images" / f"{ID}.iso").read_bytes() == b"data"
    with pytest.raises(ConflictError):
        await archive.update(ID, Changes({"disk_format": "raw"}))
    for key in ("size", "id", "checksum", "self"):
        with pytest.raises(ForbiddenError):
            await archive.update(ID, Changes({key: "x"}))
    with pytest.raises(ForbiddenError):
        await archive.update(ID, Changes({}, frozenset({"name"})))


@pytest.mark.parametrize(
    "attributes",
    [
        {"id": "no-uuid"},
        {"id": f"{ID}/../x"},
        {"id": ID.replace("-", "")},
        {"name": "half a pair: \ud800"},
        {"visibility": "secret"},
        {"min_disk": -1},
        {"created_at": "yesterday"},
        {"properties": {"k": 5}},
        {"properties": {"k": "x" * metadata.LIMIT}},
    ],
)
async def test_what_it_could_not_read_back_it_refuses(
    folder: Path, archive: Library, attributes: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError):
        await archive.create(image(**attributes))
    assert names(folder) == []


# Opening


def test_a_folder_to_read_must_be_there(folder: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        open_archive(folder, name="a", writable=False)
    folder.write_text("a file")
    for writable in (False, True):
        with pytest.raises(UsageError):
            open_archive(folder, name="a", writable=writable)


@pytest.mark.parametrize("missing", ["archive", "a/b/archive"])
async def test_a_folder_to_write_is_made(tmp_path: Path, missing: str) -> None:
    library = open_archive(tmp_path / missing, name="a", writable=True)
    assert await listed(library) == []
    await library.close()
    assert await loaded(tmp_path / missing) == []


async def test_an_empty_folder_is_no_archive_until_it_is_written(folder: Path) -> None:
    folder.mkdir()
    (folder / "lost+found").mkdir()
    with pytest.raises(ArchiveError, match="not an archive"):
        open_archive(folder, name="a", writable=False)
    await dumped(folder)
    assert len(await loaded(folder)) == 1


@pytest.mark.parametrize("writable", [False, True])
def test_another_folder_is_no_archive(folder: Path, writable: bool) -> None:
    folder.mkdir()
    (folder / "thesis.odt").write_text("years of work")
    with pytest.raises(ArchiveError, match="not an archive"):
        open_archive(folder, name="a", writable=writable)
    assert [path.name for path in folder.iterdir()] == ["thesis.odt"]


async def test_one_writes_at_a_time(folder: Path, archive: Library) -> None:
    for writable in (False, True):
        with pytest.raises(BusyError) as caught:
            open_archive(folder, name="second", writable=writable)
        assert str(folder / "lock") in str(caught.value)
    await archive.close()
    open_again = open_archive(folder, name="second", writable=True)
    await open_again.close()
    await open_again.close()


async def test_many_read_at_a_time(folder: Path) -> None:
    made = await dumped(folder)
    readers = [open_archive(folder, name="reader", writable=False) for _ in range(3)]
    for reader in readers:
        assert await listed(reader) == [made]
    with pytest.raises(BusyError):
        open_archive(folder, name="writer", writable=True)
    for reader in readers:
        await reader.close()


async def test_a_copy_without_lock_is_read(folder: Path) -> None:
    made = await dumped(folder)
    (folder / "lock").unlink()
    assert await loaded(folder) == [made]
    assert not (folder / "lock").exists()


async def test_a_reader_does_not_write(folder: Path) -> None:
    await dumped(folder)
    reader = open_archive(folder, name="reader", writable=False)
    writes: list[Callable[[], object]] = [
        lambda: reader.create(image(id="")),
        lambda: reader.upload(ID, 0, pieces(b"")),
        lambda: reader.update(ID, Changes({"name": "x"})),
        lambda: reader.add_member(ID, Member("a")),
        lambda: reader.remove_member(ID, "a"),
        lambda: reader.delete(ID),
    ]
    for write in writes:
        with pytest.raises(UsageError, match="reading only"):
            await write()  # type: ignore[misc]
    await reader.close()


# Verifying


async def test_data_that_was_altered_is_found(folder: Path) -> None:
    await dumped(folder)
    source = open_archive(folder, name="source", writable=False)
    assert isinstance(source, Verifiable)
    await source.verify(ID)
    with (folder / "images" / f"{ID}.qcow2").open("r+b") as file:
        file.seek(2 * MIB)
        file.write(bytes([DATA[2 * MIB] ^ 1]))
    with pytest.raises(CorruptionError, match=rf"{ID}\.qcow2"):
        await source.verify(ID)
    (folder / "images" / f"{ID}.qcow2").unlink()
    with pytest.raises(ArchiveError, match="missing"):
        await source.verify(ID)
    await source.close()


async def test_without_data_there_is_nothing_to_verify(archive: Library) -> None:
    await archive.create(image())
    assert isinstance(archive, Verifiable)
    with pytest.raises(ConflictError):
        await archive.verify(ID)
