"""Attributes that every image has and that a route leaves behind: never removed, never cleared."""

import pytest

from meltemi.model.image import BASE_ATTRIBUTES, Value
from meltemi.model.provenance import Written
from meltemi.replication.merge import merge
from tests.replication.running import plan, sync, synced
from tests.support.memory import MemoryLibrary


@pytest.mark.parametrize("name", sorted(BASE_ATTRIBUTES))
async def test_what_was_carried_before_stays_as_the_target_has_it(
    source: MemoryLibrary, target: MemoryLibrary, name: str
) -> None:
    image = source.put(
        b"data",
        name="a",
        visibility="public",
        min_ram=5,
        min_disk=5,
        protected=True,
        os_hidden=True,
        status="deactivated",
        tags=frozenset({"a"}),
    )
    await synced(source, target)
    before = target.images[image.id]
    left = frozenset({name})
    assert not (await plan(source, target, drop=left)).actions
    source.edit(
        image.id,
        name="b",
        visibility="private",
        min_ram=6,
        min_disk=6,
        protected=False,
        os_hidden=False,
        status="active",
        tags=frozenset({"b"}),
    )
    await synced(source, target, drop=left)
    after, wanted = target.images[image.id].attributes(), source.images[image.id].attributes()
    assert after[name] == before.attributes()[name]
    assert {n: after[n] for n in wanted if n != name} == {n: wanted[n] for n in wanted if n != name}


@pytest.mark.parametrize("name", ["min_ram", "tags"])
async def test_what_the_targets_operator_made_of_it_outlives_a_run_without_it(
    source: MemoryLibrary, target: MemoryLibrary, name: str
) -> None:
    image = source.put(b"data", min_ram=5, tags=frozenset({"a"}))
    await synced(source, target)
    target.edit(image.id, min_ram=7, tags=frozenset())
    source.edit(image.id, name="renamed")
    await synced(source, target, drop=frozenset({name}))
    await synced(source, target)
    assert (target.images[image.id].min_ram, target.images[image.id].tags) == (7, frozenset())


async def test_properties_that_are_left_behind_are_taken_away(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", properties={"build_host": "x", "kept": "y"})
    await synced(source, target)
    await synced(source, target, drop=frozenset({"build_host"}))
    assert "build_host" not in target.images[image.id].properties
    assert target.images[image.id].properties["kept"] == "y"


async def test_members_follow_where_the_visibility_is_left_to_the_target(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, a="accepted", b="accepted")
    await synced(source, target, members=True)
    source.share(image.id, a="accepted")
    left = frozenset({"visibility"})
    await synced(source, target, members=True, drop=left)
    assert target.members(image.id) == {"a": "accepted"}


async def test_a_new_image_without_its_visibility_is_private(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, a="accepted")
    await sync(source, target, members=True, drop=frozenset({"visibility"}))
    assert target.images[image.id].visibility == "private"
    assert target.members(image.id) == {}


def test_a_merge_removes_no_attribute_that_every_image_has() -> None:
    present: dict[str, Value] = {
        "name": "x",
        "min_ram": 5,
        "tags": frozenset({"a"}),
        "colour": "red",
    }
    changes = merge({}, Written.of(present), present)
    assert not changes.set
    assert changes.remove == {"colour"}
