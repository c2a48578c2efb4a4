"""Who is a member at the source no longer is none at the target, whatever came in between."""

from typing import Any

import pytest

from meltemi.errors import InterruptedTransfer
from meltemi.model.plan import Standing
from tests.replication.running import carry_out, plan, standings, sync, synced
from tests.support.memory import MemoryLibrary, no_hashes

CARRIED: dict[str, Any] = {"members": True}


def put_shared(source: MemoryLibrary, **members: str) -> str:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, **members)
    return image.id


def exposed(library: MemoryLibrary, image_id: str, since: int) -> set[str]:
    """Say how an image could be seen since a number of its states."""
    return {state.visibility for state in library.states[image_id][since:]}


@pytest.mark.parametrize("between", ["private", "community", "public"])
@pytest.mark.parametrize("then", [CARRIED, {}])
async def test_a_withdrawn_member_stays_withdrawn_when_the_image_is_shared_again(
    source: MemoryLibrary, target: MemoryLibrary, between: str, then: dict[str, Any]
) -> None:
    """Glance keeps the members of an image that is shared no longer, and lists none of them."""
    image = put_shared(source, friend="accepted", foe="accepted")
    await synced(source, target, **CARRIED)
    source.edit(image, visibility=between)
    await synced(source, target, **then)
    assert target.images[image].visibility == between
    assert target.members(image) == {}
    source.edit(image, visibility="shared")
    source.share(image, friend="accepted")
    await synced(source, target, **CARRIED)
    assert target.members(image) == {"friend": "accepted"}


async def test_members_are_withdrawn_before_the_image_ceases_to_be_shared(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = put_shared(source, foe="accepted")
    await synced(source, target, **CARRIED)
    source.edit(image, visibility="private")
    target.fail("update", InterruptedTransfer("broke"), image_id=image)
    await sync(source, target, **CARRIED)
    assert target.members(image) == {}
    await synced(source, target, **CARRIED)
    assert target.images[image].visibility == "private"


async def test_the_targets_own_members_stay(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = put_shared(source, friend="accepted")
    await synced(source, target, **CARRIED)
    target.share(image, friend="accepted", theirs="accepted")
    for visibility in ("private", "shared"):
        source.edit(image, visibility=visibility)
        await synced(source, target, **CARRIED)
    assert target.members(image) == {"friend": "accepted", "theirs": "accepted"}


async def test_what_the_route_makes_private_is_withdrawn_from_all(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = put_shared(source, friend="accepted", foe="accepted")
    await synced(source, target, **CARRIED)
    await synced(source, target, **CARRIED, visibility="private")
    source.share(image, friend="accepted")
    await synced(source, target, **CARRIED)
    assert target.members(image) == {"friend": "accepted"}


async def test_a_source_that_is_private_has_no_members_where_the_replica_is_to_be_shared(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = put_shared(source, foe="accepted")
    await synced(source, target, **CARRIED)
    source.edit(image, visibility="private")
    await synced(source, target, **CARRIED, visibility="shared")
    assert target.images[image].visibility == "shared"
    assert target.members(image) == {}


@pytest.mark.parametrize("then", [CARRIED, {}])
async def test_a_replica_that_may_still_list_somebody_is_not_shared_again(
    source: MemoryLibrary, target: MemoryLibrary, then: dict[str, Any]
) -> None:
    """The target's operator took it back, so nobody could be withdrawn from it."""
    image = put_shared(source, friend="accepted", foe="accepted")
    await synced(source, target, **CARRIED)
    target.edit(image, visibility="private")
    source.edit(image, visibility="private", name="renamed")
    await synced(source, target, **CARRIED)
    before = len(target.states[image])
    source.edit(image, visibility="shared")
    source.share(image, friend="accepted")
    found = await plan(source, target, **then)
    assert standings(found) == {image: Standing.CONFLICT}
    assert "share it there by hand" in found.notes[0].reason
    await carry_out(found, source, target)
    assert "shared" not in exposed(target, image, before)
    target.edit(image, visibility="shared")
    await synced(source, target, **CARRIED)
    assert target.members(image) == {"friend": "accepted"}


async def test_a_replica_that_lists_nobody_else_is_shared_again(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = put_shared(source, friend="accepted")
    await synced(source, target, **CARRIED)
    target.edit(image, visibility="private")
    source.edit(image, visibility="private", name="renamed")
    await synced(source, target, **CARRIED)
    source.edit(image, visibility="shared")
    source.share(image, friend="rejected", new="accepted")
    await synced(source, target, **CARRIED)
    assert target.images[image].visibility == "shared"
    assert target.members(image) == {"friend": "rejected", "new": "accepted"}


@pytest.mark.parametrize("hashes", [True, False])
async def test_a_member_of_a_delivery_that_broke_off_is_withdrawn_too(
    source: MemoryLibrary, target: MemoryLibrary, hashes: bool
) -> None:
    source.record = source.record if hashes else no_hashes
    image = put_shared(source, foe="accepted", friend="accepted")
    target.fail("add_member", InterruptedTransfer("broke"), after=True, times=9)
    await sync(source, target, **CARRIED)
    assert target.members(image) == {"foe": "accepted"}
    target.faults.clear()
    source.share(image, friend="accepted")
    await sync(source, target, **CARRIED)
    await synced(source, target, **CARRIED)
    assert target.members(image) == {"friend": "accepted"}


async def test_an_archive_forgets_who_was_withdrawn(source: MemoryLibrary) -> None:
    archive = MemoryLibrary("archive", project=None, keeps_owners=True)
    image = put_shared(source, friend="accepted", foe="accepted")
    await synced(source, archive, **CARRIED)
    source.share(image, friend="accepted")
    await synced(source, archive, **CARRIED)
    assert archive.members(image) == {"friend": "accepted"}
    source.edit(image, visibility="private")
    await synced(source, archive, **CARRIED)
    assert archive.members(image) == {}


async def test_nothing_is_asked_about_members_where_nobody_was_ever_one(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    for visibility in ("private", "shared", "public"):
        source.put(visibility=visibility, name=visibility)
    await synced(source, target)
    target.requests.clear()
    await plan(source, target)
    assert target.requests == [("list", "")]
