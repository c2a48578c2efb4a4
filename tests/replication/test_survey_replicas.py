"""Replicas: which images are some, and who may say so."""

from dataclasses import replace
from typing import Any

import pytest

from meltemi.model.image import Image
from meltemi.model.plan import Kind, Standing
from meltemi.model.provenance import Provenance, Written
from meltemi.model.route import OnConflict, OnSourceDeletion
from tests.replication.running import own_properties, plan, replicas, standings, sync, synced
from tests.support.memory import MemoryLibrary


def forged(image: Image, source: MemoryLibrary, source_id: str) -> Image:
    """Give an image a mark of origin that is bound to it, as anybody can write one."""
    origin = Provenance(source.identity, source_id, "", Written(), "2026-01-01T00:00:00Z")
    return replace(image, properties={**image.properties, **origin.properties(image.id)})


def put_forged(
    library: MemoryLibrary, source: MemoryLibrary, source_id: str, **attributes: object
) -> Image:
    image = library.put(b"poisoned", **attributes)
    return library.edit(image.id, properties=forged(image, source, source_id).properties)


async def test_replicas_are_not_echoed(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(b"one", name="one")
    local = target.put(b"two", name="two")
    for _ in range(2):
        await sync(source, target)
        await sync(target, source)
    assert set(source.images) == set(target.images) == {image.id, local.id}
    for one, other in ((source, target), (target, source)):
        again = await plan(one, other)
        assert again.actions == ()
        assert set(standings(again).values()) == {Standing.LEFT_OUT}


async def test_replicas_travel_on_where_the_route_says_so(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"one")
    third = MemoryLibrary("third")
    await synced(source, target)
    await synced(target, third, replicas=True)
    [replica] = replicas(target, third)[image.id]
    assert replica.properties["meltemi_source"] == f"memory://target/{image.id}"


async def test_a_source_under_another_address_finds_its_mapped_replicas(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data")
    target.burnt.add(image.id)
    await sync(source, target)
    source.identity = "memory://another-name"
    assert [action.kind for action in (await plan(source, target)).actions] == [Kind.UPDATE]
    await sync(source, target)
    assert len(target.images) == 1


async def test_a_snapshot_that_inherited_a_mark_is_no_replica(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    golden = source.put(b"golden")
    await synced(source, target)
    properties = target.images[golden.id].properties
    snapshot = target.put(b"snapshot", name="snapshot", properties=properties)
    assert (await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)).actions == ()
    source.remove(golden.id)
    found = await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert [action.target_id for action in found.actions] == [golden.id]
    third = MemoryLibrary("third")
    await sync(target, third)
    assert own_properties(third.images[snapshot.id]) == {}
    assert golden.id not in third.images


async def test_a_mark_forged_in_another_project_is_not_believed(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden")
    fake = put_forged(target, source, image.id, owner="attacker")
    await synced(source, target)
    assert target.data(image.id) == b"golden"
    assert target.images[fake.id] == target.states[fake.id][-1]
    source.remove(image.id)
    await sync(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert list(target.images) == [fake.id]


@pytest.mark.parametrize("owners", [{"theirs": "ours", "tenant": "attacker"}, {"*": "*"}])
@pytest.mark.parametrize("policy", OnConflict)
async def test_a_mark_forged_in_a_project_of_the_table_takes_over_nothing(
    source: MemoryLibrary, target: MemoryLibrary, owners: dict[str, str], policy: OnConflict
) -> None:
    kernel = source.put(b"kernel", name="kernel")
    image = source.put(b"golden", visibility="shared", properties={"kernel_id": kernel.id})
    options: dict[str, Any] = {"owners": owners, "members": True, "on_conflict": policy}
    await synced(source, target, **options)
    before = {image_id: target.images[image_id] for image_id in (kernel.id, image.id)}
    fakes = [
        put_forged(target, source, of, owner="attacker", id=f"{first}{of}")
        for of in (kernel.id, image.id)
        for first in "0z"
    ]
    await sync(source, target, **options)
    assert {image_id: target.images[image_id] for image_id in before} == before
    assert len(target.images) == 2 + len(fakes)
    again = await plan(source, target, **options)
    assert (again.actions, again.notes) == ((), ())


async def test_a_forged_kernel_is_not_booted_by_what_is_copied(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel")
    image = source.put(b"golden", properties={"kernel_id": kernel.id})
    put_forged(target, source, kernel.id, owner="attacker")
    await sync(source, target, owners={"*": "*"})
    assert target.images[image.id].properties["kernel_id"] == kernel.id
    assert target.data(kernel.id) == b"kernel"


async def test_a_mapping_is_followed_among_forgeries(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden")
    target.burnt.add(image.id)
    await synced(source, target, owners={"*": "*"})
    [replica] = replicas(source, target)[image.id]
    for first in "0z":
        put_forged(target, source, image.id, owner="attacker", id=f"{first}{image.id}")
    source.edit(image.id, name="renamed")
    await synced(source, target, owners={"*": "*"})
    assert target.images[replica.id].name == "renamed"
    assert len(target.images) == 3


async def test_a_mark_of_another_source_counts_for_that_one_only(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    other = MemoryLibrary("other source", project="theirs")
    image = other.put(b"one", name="one")
    await synced(other, target)
    found = await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert found.actions == ()
    assert image.id in target.images


HOSTILE = [
    {"meltemi_replicated_at": "claimed until 2026-01-01T00:00:00 by x/1"},
    {"meltemi_replicated_at": "claimed until 9999-12-31T23:59:59-23:59 by x/1"},
    {"meltemi_replicated_at": "claimed until  by "},
    {"meltemi_written": "["},
    {"meltemi_written": "[" * 100_000},
    {"meltemi_source": "/"},
]


@pytest.mark.parametrize("properties", HOSTILE)
async def test_nonsense_in_a_mark_stops_no_plan(
    source: MemoryLibrary, target: MemoryLibrary, properties: dict[str, str]
) -> None:
    image = source.put(b"golden")
    await synced(source, target)
    for attributes in ({}, {"status": "queued"}, {"status": "saving"}):
        mark = {**target.images[image.id].properties, **properties}
        target.edit(image.id, properties=mark, **attributes)
        await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)
