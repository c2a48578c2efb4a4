"""What Meltemi adopts stays as closed as it was; an archive has nothing of its own to keep."""

import pytest

from tests.replication.running import plan, sync, synced
from tests.support.memory import MemoryLibrary

WIDTH = ["private", "shared", "community", "public"]


@pytest.mark.parametrize("at_source", WIDTH)
@pytest.mark.parametrize("at_target", WIDTH)
async def test_an_adopted_image_is_visible_to_no_more_than_at_either_end(
    source: MemoryLibrary, target: MemoryLibrary, at_source: str, at_target: str
) -> None:
    image = source.put(b"data", name="new", visibility=at_source)
    target.put(b"data", id=image.id, name="old", visibility=at_target)
    await sync(source, target)
    there = target.images[image.id]
    assert there.name == "new"
    assert there.visibility == min(at_source, at_target, key=WIDTH.index)
    assert not (await plan(source, target)).actions


async def test_an_adopted_image_follows_its_source_from_then_on(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", visibility="community")
    target.put(b"data", id=image.id, visibility="private")
    await synced(source, target)
    source.edit(image.id, visibility="public")
    await synced(source, target)
    assert target.images[image.id].visibility == "public"


async def test_a_private_image_is_adopted_without_members(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, friend="accepted")
    target.put(b"data", id=image.id, visibility="private")
    await synced(source, target, members=True)
    assert target.images[image.id].visibility == "private"
    assert target.members(image.id) == {}


async def test_an_archive_follows_in_everything(source: MemoryLibrary) -> None:
    archive = MemoryLibrary("archive", project=None, keeps_owners=True)
    image = source.put(b"data", visibility="private")
    await synced(source, archive)
    for visibility, closed in (("public", True), ("private", False)):
        status = "deactivated" if closed else "active"
        source.edit(
            image.id, visibility=visibility, protected=closed, os_hidden=closed, status=status
        )
        await synced(source, archive)
        assert archive.images[image.id].attributes() == source.images[image.id].attributes()
