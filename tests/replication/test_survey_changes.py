"""Changes that flow: attributes, members, owners, and what is never carried."""

import pytest

from meltemi.model.plan import Kind, Standing
from tests.replication.running import kinds, own_properties, plan, standings, sync, synced
from tests.support.memory import MemoryLibrary


async def test_changes_of_the_source_flow_and_those_of_the_target_stay(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(
        b"data", name="a", tags=frozenset({"s", "t"}), properties={"p": "1", "q": "1", "r": "1"}
    )
    await synced(source, target)
    mark = target.images[image.id].properties
    target.edit(
        image.id,
        properties={k: v for k, v in {**mark, "q": "2", "own": "1"}.items() if k != "r"},
        tags=frozenset({"s", "mine"}),
        min_ram=99,
    )
    assert (await plan(source, target)).actions == ()
    source.edit(
        image.id,
        name="b",
        properties={"p": "2", "q": "1", "r": "1", "new": "1"},
        tags=frozenset({"t", "u"}),
        min_disk=5,
        visibility="public",
        protected=True,
        status="deactivated",
    )
    await synced(source, target)
    replica = target.images[image.id]
    assert own_properties(replica) == {"p": "2", "q": "2", "own": "1", "new": "1"}
    assert replica.tags == {"mine", "u"}
    assert (replica.name, replica.min_disk, replica.min_ram) == ("b", 5, 99)
    assert (replica.visibility, replica.protected, replica.status) == (
        "public",
        True,
        "deactivated",
    )
    source.edit(image.id, properties={}, tags=frozenset())
    await synced(source, target)
    replica = target.images[image.id]
    assert own_properties(replica) == {"q": "2", "own": "1"}
    assert replica.tags == {"mine"}


async def test_members_are_merged(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, a="pending", b="accepted")
    await synced(source, target, members=True)
    assert target.members(image.id) == {"a": "pending", "b": "accepted"}
    target.share(image.id, a="rejected", mine="pending")
    await synced(source, target, members=True)
    assert target.members(image.id) == {"a": "rejected", "mine": "pending"}
    source.share(image.id, c="accepted")
    assert kinds(await plan(source, target, members=True)) == [Kind.SHARE]
    await synced(source, target, members=True)
    assert target.members(image.id) == {"mine": "pending", "c": "accepted"}


async def test_members_are_mapped_like_owners(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, a="pending", b="pending")
    await synced(source, target, members=True, owners={"a": "mapped"})
    assert target.members(image.id) == {"mapped": "pending", "b": "pending"}


async def test_members_wait_for_an_image_that_is_shared(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, a="pending")
    await synced(source, target, members=True, visibility="private")
    assert target.members(image.id) == {}
    await synced(source, target, members=True)
    assert target.members(image.id) == {"a": "pending"}


async def test_members_of_an_image_that_the_operator_took_back_stay_away(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", visibility="shared")
    await synced(source, target, members=True)
    target.edit(image.id, visibility="private")
    source.share(image.id, a="pending")
    await synced(source, target, members=True)
    assert target.members(image.id) == {}
    target.edit(image.id, visibility="shared")
    await synced(source, target, members=True)
    assert target.members(image.id) == {"a": "pending"}


async def test_what_is_never_carried(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(
        b"data",
        properties={
            "os_glance_importing_to_stores": "x",
            "meltemi_region": "x",
            "img_signature_certificate_uuid": "cert",
            "cinder_encryption_key_id": "key",
            "cinder_encryption_key_deletion_policy": "on_image_deletion",
            "dropped": "x",
            "img_signature": "carried",
        },
    )
    await synced(source, target, drop=frozenset({"dropped"}))
    assert own_properties(target.images[image.id]) == {"img_signature": "carried"}


async def test_base_attributes_are_left_behind_too(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", protected=True, tags=frozenset({"a"}), min_ram=5)
    await sync(source, target, drop=frozenset({"protected", "tags", "min_ram"}))
    there = target.images[image.id]
    assert (there.protected, there.tags, there.min_ram) == (False, frozenset(), 0)
    assert not (
        await plan(source, target, drop=frozenset({"protected", "tags", "min_ram"}))
    ).actions


async def test_ids_of_secrets_are_mapped(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(
        properties={
            "cinder_encryption_key_id": "key",
            "cinder_encryption_key_deletion_policy": "never",
        }
    )
    await synced(source, target, values={"cinder_encryption_key_id": {"key": "other key"}})
    assert own_properties(target.images[image.id]) == {
        "cinder_encryption_key_id": "other key",
        "cinder_encryption_key_deletion_policy": "never",
    }


async def test_only_metadata(source: MemoryLibrary, target: MemoryLibrary) -> None:
    here, there = source.put(b"1", name="here"), source.put(b"2", name="there")
    target.put(b"1", id=here.id, name="old")
    await sync(source, target, metadata_only=True)
    assert target.images[here.id].name == "here"
    assert there.id not in target.images
    assert target.count("upload") == 0
    assert standings(await plan(source, target, metadata_only=True)) == {
        there.id: Standing.LEFT_OUT
    }


async def test_only_metadata_of_an_archive(source: MemoryLibrary) -> None:
    archive = MemoryLibrary("archive", project=None, keeps_owners=True)
    image = source.put(b"1", name="here", visibility="public", owner="them")
    await sync(source, archive, metadata_only=True)
    assert archive.count("upload") == source.count("read") == 0
    kept = archive.images[image.id]
    assert (kept.name, kept.visibility, kept.owner) == ("here", "public", "them")
    assert (await plan(source, archive, metadata_only=True)).actions == ()


async def test_an_archive_mirrors(source: MemoryLibrary) -> None:
    archive = MemoryLibrary("archive", project=None, keeps_owners=True)
    image = source.put(b"1", name="a", visibility="public", properties={"p": "1", "q": "1"})
    await synced(source, archive)
    kept = archive.images[image.id]
    assert (kept.visibility, kept.owner, dict(kept.properties)) == (
        "public",
        "theirs",
        {"p": "1", "q": "1"},
    )
    archive.edit(image.id, name="edited")
    source.edit(image.id, properties={"p": "2"})
    await synced(source, archive)
    assert archive.images[image.id].name == "a"
    assert dict(archive.images[image.id].properties) == {"p": "2"}


@pytest.mark.parametrize(
    ("owners", "expected"),
    [
        ({}, "ours"),
        ({"theirs": "mapped"}, "mapped"),
        ({"*": "all"}, "all"),
        ({"*": "*"}, "theirs"),
        ({"theirs": "mapped", "*": "*"}, "mapped"),
        ({"other": "x"}, "ours"),
    ],
)
async def test_owners(
    source: MemoryLibrary, target: MemoryLibrary, owners: dict[str, str], expected: str
) -> None:
    image = source.put()
    await synced(source, target, owners=owners)
    assert target.images[image.id].owner == expected
