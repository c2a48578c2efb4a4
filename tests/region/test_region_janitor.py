"""Who counts as dead, and what can be given back only later."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meltemi.catalogue.sql import SqlCatalogue, open_catalogue
from meltemi.chunks.opening import open_store
from meltemi.errors import CatalogueError
from meltemi.model.image import Image
from meltemi.model.listing import Viewer
from meltemi.model.record import Record
from meltemi.region.data import janitor as module
from meltemi.region.data.contents import Contents
from meltemi.region.data.hot_files import HotFiles
from meltemi.region.data.janitor import Debt, Janitor
from meltemi.region.metering import Meter

ADMIN = Viewer(None, is_admin=True)
IMAGE = Image("00000000-0000-4000-8000-000000000000", "image", "queued", "private", "project")


class Away(SqlCatalogue):
    """A catalogue whose database may be away."""

    is_away = False

    async def beat(self, holder: str) -> Mapping[str, int]:
        self._must_be_there()
        return await super().beat(holder)

    async def move(self, image: str, **how: Any) -> Record:
        self._must_be_there()
        return await super().move(image, **how)

    def _must_be_there(self) -> None:
        if self.is_away:
            raise CatalogueError("nothing answers")


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Away]:
    opened = await open_catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    yield Away(opened._database)
    await opened.close()


@pytest.fixture
async def janitor(tmp_path: Path, catalogue: Away) -> AsyncIterator[Janitor]:
    store = open_store(str(tmp_path / "store"), create=True)
    contents = Contents(store, "sha512", "us", HotFiles(tmp_path / "hot", 0), {}, by_project=False)
    yield Janitor(catalogue, catalogue.tasks, contents, "us", Meter())
    await contents.close()


async def test_nobody_dies_of_a_database_that_is_away(
    catalogue: Away, janitor: Janitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their hearts could not beat; only where they do not beat afterwards are they dead."""
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    await catalogue.beat("another")
    await janitor.work()
    now[0] = 10
    catalogue.is_away = True
    with pytest.raises(CatalogueError):
        await janitor.work()
    catalogue.is_away = False
    for now[0] in (1000, 1010, 1020, 1029):
        await janitor.work()
        assert await is_known(catalogue, "another")
    now[0] = 1031
    await janitor.work()
    assert not await is_known(catalogue, "another")


async def test_nobody_dies_while_nobody_looks(
    catalogue: Away, janitor: Janitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was stopped, and looks again, cannot tell whose hearts have beaten meanwhile."""
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    await catalogue.beat("another")
    for now[0] in (1, 1000, 1010, 1020, 1029):
        await janitor.work()
        assert await is_known(catalogue, "another")
    now[0] = 1031
    await janitor.work()
    assert not await is_known(catalogue, "another")


async def test_a_heart_beats_while_there_is_much_to_tidy_up(
    catalogue: Away, janitor: Janitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without_end() -> None:
        await asyncio.Event().wait()

    beats, enough = 0, asyncio.Event()
    beat = catalogue.beat

    async def counted(holder: str) -> Mapping[str, int]:
        nonlocal beats
        beats += 1
        if beats == 5:
            enough.set()
        return await beat(holder)

    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(janitor._tasks, "expire", without_end)
    monkeypatch.setattr(catalogue, "beat", counted)
    work = asyncio.create_task(janitor.run())
    await enough.wait()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_who_holds_an_image_is_among_the_living(catalogue: Away) -> None:
    """Also one that was buried, and is back: what it stores would be taken for left over."""
    await catalogue.add(Record(IMAGE))
    await catalogue.beat("us")
    await catalogue.bury("us")
    await hold(catalogue)
    assert "us" in await catalogue.beat("another")


async def is_known(catalogue: Away, holder: str) -> bool:
    return holder in await catalogue.beat("us")


async def test_an_image_is_given_back_when_the_database_is_there_again(
    catalogue: Away, janitor: Janitor
) -> None:
    await catalogue.add(Record(IMAGE))
    await janitor.work()
    await hold(catalogue)
    catalogue.is_away = True
    await janitor.give_back(Debt(IMAGE.id, "saving"))
    catalogue.is_away = False
    assert await status(catalogue) == "saving"
    await janitor.work()
    assert await status(catalogue) == "queued"
    await hold(catalogue)
    await janitor.work()
    assert await status(catalogue) == "saving", "it was given back once"


async def test_an_image_that_was_held_anew_is_not_given_back(
    catalogue: Away, janitor: Janitor
) -> None:
    await catalogue.add(Record(IMAGE))
    catalogue.is_away = True
    await janitor.give_back(Debt(IMAGE.id, "saving"))
    catalogue.is_away = False
    await hold(catalogue)
    janitor.excuse(IMAGE.id)
    await janitor.work()
    assert await status(catalogue) == "saving"


async def hold(catalogue: Away) -> None:
    await catalogue.hold(IMAGE.id, expected=("queued",), status="saving", holder="us")


async def status(catalogue: Away) -> str:
    return (await catalogue.get(IMAGE.id, ADMIN)).image.status
