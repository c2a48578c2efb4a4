"""Archives that their first image makes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meltemi.errors import CorruptionError, ImageError, UsageError, VanishedError
from meltemi.libraries.archive import AbsentArchive, UnmadeArchive, open_archive
from meltemi.libraries.base import Library, Verifiable
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress
from tests.libraries.archiving import ID, image
from tests.libraries.conformance import LibraryConformance
from tests.libraries.handling import DATA, content, listed, pieces


class TestUnmade(LibraryConformance):
    """It keeps the contract of libraries, before its first image and after it."""

    @pytest.fixture
    async def library(self, tmp_path: Path) -> AsyncIterator[Library]:
        library = await open_library(LibraryAddress(path=tmp_path / "new"), writable=True)
        yield library
        await library.close()


@pytest.fixture
async def unmade(tmp_path: Path) -> AsyncIterator[Library]:
    library = await open_library(LibraryAddress(path=tmp_path / "new"), name="a", writable=True)
    assert isinstance(library, UnmadeArchive)
    yield library
    await library.close()


async def test_looking_makes_nothing(unmade: Library, tmp_path: Path) -> None:
    assert await listed(unmade) == []
    for look in (unmade.show(ID), unmade.list_members(ID), anext(aiter(unmade.read(ID)))):
        with pytest.raises(VanishedError):
            await look
    await unmade.close()
    assert not (tmp_path / "new").exists()


async def test_it_is_the_library_that_it_becomes(unmade: Library, tmp_path: Path) -> None:
    await unmade.create(image())
    made = open_archive(tmp_path / "old", name="a", writable=True)
    await made.close()
    assert unmade.identity == made.identity.replace("old", "new")
    assert (unmade.project, unmade.keeps_owners) == (made.project, made.keeps_owners)


async def test_what_was_written_can_be_read_and_verified_in_the_same_run(
    unmade: Library, tmp_path: Path
) -> None:
    await unmade.create(image())
    await unmade.upload(ID, len(DATA), pieces(DATA))
    assert isinstance(unmade, Verifiable)
    await unmade.verify(ID)
    assert await content(unmade, ID) == DATA
    (tmp_path / "new" / "images" / f"{ID}.qcow2").write_bytes(DATA[:-1] + b"?")
    with pytest.raises(CorruptionError):
        await unmade.verify(ID)


async def test_first_images_that_come_at_once_make_it_once(unmade: Library) -> None:
    ids = [f"{n:08d}-2222-4333-8444-555555555555" for n in range(9)]
    await asyncio.gather(*(unmade.create(image(id=one)) for one in ids))
    assert [found.id for found in await listed(unmade)] == ids


async def test_of_two_that_begin_at_one_place_the_second_is_refused_as_a_whole(
    unmade: Library, tmp_path: Path
) -> None:
    other = await open_library(LibraryAddress(path=tmp_path / "new"), name="b", writable=True)
    await unmade.create(image())
    with pytest.raises(ImageError, match="in use by another process") as caught:
        await other.create(image())
    assert type(caught.value) is ImageError
    assert caught.value.library == "b"
    await other.close()
    assert (await unmade.show(ID)).id == ID


async def test_a_place_that_is_taken_meanwhile_is_left_alone(
    unmade: Library, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thesis.txt").write_text("words")
    with pytest.raises(Exception, match="is not an archive") as caught:
        await unmade.create(image())
    assert getattr(caught.value, "library", None) == "a"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("before", ["nothing", "a folder", "a file system"])
async def test_where_one_can_be_begun(tmp_path: Path, before: str) -> None:
    place = tmp_path / "new"
    if before != "nothing":
        place.mkdir()
    if before == "a file system":
        (place / "lost+found").mkdir()
    dry = await open_library(LibraryAddress(path=place), may_be_absent=True)
    assert isinstance(dry, AbsentArchive)
    library = await open_library(LibraryAddress(path=place), writable=True)
    assert isinstance(library, UnmadeArchive)
    await library.create(image())
    await library.close()
    assert (place / "manifest.jsonl").is_file()


@pytest.mark.parametrize("name", ["file/new", "x" * 300, "loop/new"])
async def test_a_place_where_none_can_be_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError):
        await open_library(LibraryAddress(path=tmp_path / name), writable=True)
