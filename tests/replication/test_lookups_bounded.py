"""What a listing does not give is asked for one by one, many at once, but never all at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meltemi.model.image import Image, Member
from meltemi.model.plan import Standing
from meltemi.replication.survey import _AT_ONCE
from tests.replication.running import plan, standings, synced
from tests.support.memory import MemoryLibrary

MANY = 5 * _AT_ONCE


class Watched(MemoryLibrary):
    """Remembers how many requests of a kind were under way at once."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def show(self, image_id: str) -> Image:
        async with self._watching("show"):
            return await super().show(image_id)

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        async with self._watching("members"):
            return await super().list_members(image_id)

    @asynccontextmanager
    async def _watching(self, request: str) -> AsyncIterator[None]:
        self.under_way[request] += 1
        self.most[request] = max(self.most[request], self.under_way[request])
        await asyncio.sleep(0)
        yield
        self.under_way[request] -= 1


@pytest.fixture
def source() -> Watched:
    return Watched("source")


@pytest.fixture
def target() -> Watched:
    return Watched("target")


async def test_images_whose_names_are_taken_are_looked_up_a_few_at_once(
    source: Watched, target: Watched
) -> None:
    images = [source.put(name=f"image {number}") for number in range(MANY)]
    for image in images:
        target.put(name=image.name)
    found = await plan(source, target)
    assert standings(found) == {image.id: Standing.CONFLICT for image in images}
    assert target.count("show") == MANY
    assert target.most["show"] == _AT_ONCE


async def test_members_are_looked_up_a_few_at_once(source: Watched, target: Watched) -> None:
    for number in range(MANY):
        image = source.put(name=f"image {number}", visibility="shared")
        source.share(image.id, friend="accepted")
    await synced(source, target, members=True)
    assert all(target.members(image) == {"friend": "accepted"} for image in target.images)
    assert source.most["members"] == _AT_ONCE
    assert 1 < target.most["members"] <= _AT_ONCE
