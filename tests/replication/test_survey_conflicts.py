"""What stands at the target already: images to adopt, ids and names that are taken."""

from typing import Any

import pytest

from meltemi.errors import QuotaError
from meltemi.model.plan import Kind, Standing
from meltemi.model.route import OnConflict
from meltemi.replication import survey
from tests.replication.running import kinds, own_properties, plan, replicas, standings, sync, synced
from tests.support.memory import MemoryLibrary, full_hashes, old_hashes


@pytest.mark.parametrize("record", [full_hashes, old_hashes])
async def test_an_image_with_the_same_id_and_data_is_adopted(
    source: MemoryLibrary, target: MemoryLibrary, record: object
) -> None:
    image = source.put(b"same", name="new name")
    target.record = old_hashes if record is old_hashes else full_hashes
    target.put(b"same", id=image.id, name="old name", properties={"local": "1"})
    found = await plan(source, target)
    assert kinds(found) == [Kind.RENAME]
    await synced(source, target)
    assert target.images[image.id].name == "new name"
    assert own_properties(target.images[image.id]) == {"local": "1"}
    assert target.count("upload") == 0
    assert image.id in replicas(source, target)


async def test_adoption_leaves_closed_what_the_target_closed(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", name="new")
    target.put(
        b"data", id=image.id, name="old", protected=True, os_hidden=True, status="deactivated"
    )
    await sync(source, target)
    there = target.images[image.id]
    assert (there.name, there.protected, there.os_hidden) == ("new", True, True)
    assert there.status == "deactivated"
    assert not (await plan(source, target)).actions


@pytest.mark.parametrize("policy", OnConflict)
async def test_an_id_taken_by_other_data(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnConflict
) -> None:
    image = source.put(b"golden", name="debian", visibility="public")
    other = target.put(b"other", id=image.id, name="debian")
    outcomes = await sync(source, target, on_conflict=policy)
    if policy is OnConflict.SKIP:
        assert outcomes == []
        assert target.images == {image.id: other}
        assert standings(await plan(source, target)) == {image.id: Standing.CONFLICT}
        return
    assert target.data(image.id) == b"other"
    [replica] = replicas(source, target)[image.id]
    assert replica.id != image.id
    assert target.data(replica.id) == b"golden"
    assert replica.visibility == "public"
    assert replica.name == ("debian" if policy is OnConflict.REPLACE else "debian (source)")
    assert target.images[image.id].os_hidden == (policy is OnConflict.REPLACE)
    again = await plan(source, target, on_conflict=policy)
    assert (again.actions, again.notes) == ((), ())


@pytest.mark.parametrize("policy", OnConflict)
async def test_an_id_taken_by_another_owner_is_left_alone(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnConflict
) -> None:
    image = source.put(b"golden", visibility="public")
    other = target.put(b"golden", id=image.id, owner="somebody", name="mine")
    for _ in range(2):
        await sync(source, target, on_conflict=policy)
    assert target.images[image.id] == other
    assert len(target.images) == (1 if policy is OnConflict.SKIP else 2)


@pytest.mark.parametrize("policy", OnConflict)
async def test_a_name_taken_by_another_image(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnConflict
) -> None:
    image = source.put(b"golden", name="debian")
    other = target.put(b"local", name="debian")
    await sync(source, target, on_conflict=policy)
    if policy is OnConflict.SKIP:
        assert target.images == {other.id: other}
        assert (await plan(source, target)).differs
        return
    renamed = policy is OnConflict.RENAME
    assert target.images[image.id].name == ("debian (source)" if renamed else "debian")
    assert target.images[other.id].os_hidden == (not renamed)
    assert target.data(other.id) == b"local"
    again = await plan(source, target, on_conflict=policy)
    assert (again.actions, again.notes) == ((), ())


async def test_a_nameless_image_is_renamed_to_something_sensible(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden", name=None)
    target.put(b"other", id=image.id)
    await sync(source, target, on_conflict=OnConflict.RENAME)
    [replica] = replicas(source, target)[image.id]
    assert "None" not in str(replica.name)


@pytest.mark.parametrize("first", "0z")
async def test_the_replica_of_a_shared_image_is_found_wherever_it_is_listed(
    source: MemoryLibrary, target: MemoryLibrary, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    image = source.put(visibility="shared", id="5")
    for number in "123446789":
        source.put(id=f"{number}-other", name=number)
    target.put(id=image.id, owner="somebody")
    monkeypatch.setattr(survey, "uuid4", lambda: f"{first}-new")
    options: dict[str, Any] = {"members": True, "on_conflict": OnConflict.RENAME}
    await synced(source, target, **options)
    assert [i.id for i in replicas(source, target)[image.id]] == [f"{first}-new"]


async def test_a_name_in_another_project_or_hidden_is_no_conflict(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    source.put(name="debian")
    target.put(b"1", name="debian", owner="somebody")
    target.put(b"2", name="debian", os_hidden=True)
    assert kinds(await plan(source, target)) == [Kind.COPY]


async def test_images_of_one_name_at_the_source_share_it_at_the_target(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    for number in range(3):
        source.put(bytes([number]), name="debian")
    await synced(source, target)
    source.put(b"another", name="debian")
    await synced(source, target)
    assert [image.name for image in target.images.values()] == ["debian"] * 4


async def test_the_name_of_what_takes_anothers_place_stays_at_the_other_when_it_fails(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden", name="debian")
    other = target.put(b"local", name="debian")
    target.fail("upload", QuotaError("target: full"))
    await sync(source, target, on_conflict=OnConflict.REPLACE)
    assert not target.images[other.id].os_hidden
    await sync(source, target, on_conflict=OnConflict.REPLACE)
    assert target.data(image.id) == b"golden"
