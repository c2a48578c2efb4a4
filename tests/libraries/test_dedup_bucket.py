"""Archives on chunk stores in a bucket of a real S3, with their index in a database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from meltemi.chunks import session
from meltemi.chunks.collector import collect
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.schema import sessions
from meltemi.chunks.index.sessions import Sessions
from meltemi.chunks.opening import open_store
from meltemi.errors import ArchiveError, BusyError, SessionLostError, UsageError
from meltemi.libraries.archive import AbsentArchive
from meltemi.libraries.base import Changes, Library, Verifiable
from meltemi.libraries.opening import open_library
from meltemi.model.address import parse_address
from tests.libraries.archiving import ID, image
from tests.libraries.conformance import LibraryConformance
from tests.libraries.handling import DATA, content, listed, pieces
from tests.support.archives import make_archive
from tests.support.cli import meltemi, succeed


@pytest.fixture
def url(bucket: str) -> str:
    """Give the URL of an archive that is not there yet."""
    return f"s3://{bucket}/deep/vault"


@pytest.fixture
def index(tmp_path: Path) -> str:
    """Give the URL of a database that is not there yet."""
    return f"sqlite:///{tmp_path}/index.sqlite"


async def opened(url: str, index: str | None, *, writable: bool = False) -> Library:
    return await open_library(
        parse_address(url), name="vault", writable=writable, dedup=True, index=index
    )


@pytest.fixture
async def library(url: str, index: str) -> AsyncIterator[Library]:
    """Give an empty archive that can be written."""
    library = await opened(url, index, writable=True)
    yield library
    await library.close()


class TestBucket(LibraryConformance):
    """An archive in a bucket keeps the contract of libraries."""

    @pytest.fixture
    def library(self, library: Library) -> Library:
        return library


async def test_it_is_read_with_its_index_and_without(
    url: str, index: str, library: Library
) -> None:
    assert library.identity == url
    await library.create(image())
    await library.upload(ID, len(DATA), pieces(DATA))
    made = await library.show(ID)
    for known in (index, None):
        reader = await opened(url, known)
        assert await listed(reader) == [made]
        assert await content(reader, ID) == DATA
        assert isinstance(reader, Verifiable)
        await reader.verify(ID)
        await reader.close()
    await library.update(ID, Changes({"name": "new"}))
    await library.close()
    library = await opened(url, index, writable=True)
    await library.delete(ID)
    await library.close()
    store = open_store(url, index)
    assert collect(store).freed > len(DATA)
    store.close()
    reader = await opened(url, None)
    assert await listed(reader) == []
    await reader.close()


async def test_one_writes_at_a_time(url: str, index: str, library: Library) -> None:
    await library.create(image())
    with pytest.raises(BusyError, match="is at work on it"):
        await opened(url, index, writable=True)
    await library.close()
    library = await opened(url, index, writable=True)
    assert [one.id for one in await listed(library)] == [ID]
    await library.close()


async def test_who_died_holds_on_until_he_has_been_silent_for_long(
    url: str, index: str, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.create(image())
    await library.close()
    database = Database(index)
    dead = Sessions(database)
    dead.lease(dead.begin(), "archive")
    monkeypatch.setattr(session, "BEAT_SECONDS", 0.01)
    with pytest.raises(BusyError):
        await opened(url, index, writable=True)
    with database.exclusive() as connection:
        connection.execute(update(sessions).values(seen=0))
    database.close()
    library = await opened(url, index, writable=True)
    assert [one.id for one in await listed(library)] == [ID]
    await library.close()


async def test_who_was_taken_for_dead_writes_no_more(
    url: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "BEAT_SECONDS", 0.01)
    library = await opened(url, index, writable=True)
    await library.create(image())
    database = Database(index)
    with database.exclusive() as connection:
        connection.execute(delete(sessions))
    database.close()

    async def write_on() -> None:
        while True:
            await library.update(ID, Changes({"name": "new"}))

    with pytest.raises(SessionLostError):
        await write_on()
    await library.close()


async def test_a_bucket_is_written_with_an_index_only(url: str, index: str) -> None:
    with pytest.raises(UsageError, match="--index"):
        await opened(url, None, writable=True)
    absent = await open_library(parse_address(url), may_be_absent=True, dedup=True)
    assert isinstance(absent, AbsentArchive)
    with pytest.raises(UsageError, match="dump --dedup makes one"):
        await open_library(parse_address(url), writable=True, index=index)
    with pytest.raises(UsageError, match="there is no chunk store"):
        await opened(url, None)


async def test_another_store_is_no_archive(url: str, index: str) -> None:
    store = open_store(url, index, create=True)
    with store.writing() as writer:
        writer.write(b"data")
        writer.finish("a name")
    store.close()
    with pytest.raises(ArchiveError, match="not an archive"):
        await opened(url, index, writable=True)


async def test_who_reads_without_an_index_looks_anew(url: str, library: Library) -> None:
    await library.create(image())
    reader = await opened(url, None)
    assert [one.status for one in await listed(reader)] == ["queued"]
    await library.upload(ID, len(DATA), pieces(DATA))
    assert await content(reader, ID) == DATA
    await library.update(ID, Changes({"name": "new"}))
    assert [one.name for one in await listed(reader)] == ["new"]
    await reader.close()


def test_bundles_from_bucket_to_bucket(url: str, index: str, tmp_path: Path) -> None:
    make_archive(tmp_path / "plain", {"one": DATA, "two": DATA[:-1]})
    succeed("dump", tmp_path / "plain", url, "--dedup", "--index", index)
    make = ("bundle", "make", url, tmp_path / "disk", "--size", "2M", "-f", "json")
    [made] = succeed(*make).rows
    assert made["Bundles"] > 1
    far, far_index = f"{url}-far", f"{index}-far"
    apply = ("bundle", "apply", made["Set"], far)
    assert "--index" in meltemi(*apply, code=2).complaint
    succeed(*apply, "--index", far_index)
    assert succeed("compare", url, far).idle
    succeed("bundle", "state", far, tmp_path / "state")
    again = succeed(*make, "--since", tmp_path / "state", "--index", index)
    assert "nothing is lacking" in again.err


def test_from_the_command_line(url: str, index: str, tmp_path: Path) -> None:
    make_archive(tmp_path / "plain", {"one": DATA, "two": DATA[:-1]})
    succeed("dump", tmp_path / "plain", url, "--dedup", env={"MELTEMI_INDEX": index})
    assert succeed("dump", tmp_path / "plain", url, "--index", index).idle
    assert succeed("compare", tmp_path / "plain", url).idle
    assert succeed("size", url, "-f", "json").rows[0]["Images"] == 2
    succeed("load", tmp_path / "back", url)
    assert succeed("compare", url, tmp_path / "back").idle
    assert "2 images" in succeed("store", "check", url, "--index", index).err
