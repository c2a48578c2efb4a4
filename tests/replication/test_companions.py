"""Which kernels and ramdisks come along unselected: anybody may write any id into `kernel_id`."""

import asyncio
from typing import Any

import pytest

from meltemi.model.image import Image
from meltemi.model.plan import Plan, Standing
from meltemi.model.route import OnConflict, Rules, Selection
from tests.replication.running import plan, sync, synced
from tests.support.memory import MemoryLibrary

CHOSEN = Selection(match=(Rules(names=("disk",)),))
WAYS: list[dict[str, Any]] = [{}, {"visibility": "public"}, {"owners": {"*": "stranger"}}]


def boots_with(source: MemoryLibrary, kernel: Image, **attributes: Any) -> Image:
    """Put an image of a stranger that names a kernel."""
    attributes = {"owner": "stranger", "visibility": "community", **attributes}
    return source.put(b"disk", name="disk", properties={"kernel_id": kernel.id}, **attributes)


def reasons(found: Plan) -> str:
    assert {note.standing for note in found.notes} <= {Standing.CONFLICT}
    return " ".join(note.reason for note in found.notes)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["kernel_id", "ramdisk_id"])
async def test_a_private_image_does_not_come_along_with_a_strangers(
    source: MemoryLibrary, target: MemoryLibrary, kind: str, way: dict[str, Any]
) -> None:
    secret = source.put(b"secret", name="secret", owner="victim", visibility="private")
    source.put(b"disk", name="disk", owner="stranger", properties={kind: secret.id})
    await sync(source, target, selection=CHOSEN, **way)
    assert not target.images
    found = reasons(await plan(source, target, selection=CHOSEN, **way))
    assert secret.id in found
    assert "does not share it" in found


@pytest.mark.parametrize(
    ("members", "comes"),
    [
        ({}, False),
        ({"stranger": "pending"}, False),
        ({"stranger": "rejected"}, False),
        ({"somebody": "accepted"}, False),
        ({"somebody": "rejected", "stranger": "accepted"}, True),
    ],
)
async def test_a_shared_image_comes_along_with_those_of_who_accepted_it(
    source: MemoryLibrary, target: MemoryLibrary, members: dict[str, str], comes: bool
) -> None:
    kernel = source.put(b"kernel", name="k", owner="owner", visibility="shared")
    source.share(kernel.id, **members)
    disk = boots_with(source, kernel)
    await sync(source, target, selection=CHOSEN)
    assert set(target.images) == ({kernel.id, disk.id} if comes else set())


@pytest.mark.parametrize("visibility", ["public", "community"])
async def test_what_all_may_see_comes_along(
    source: MemoryLibrary, target: MemoryLibrary, visibility: str
) -> None:
    kernel = source.put(b"kernel", name="k", owner="owner", visibility=visibility)
    disk = boots_with(source, kernel)
    await synced(source, target, selection=CHOSEN)
    assert set(target.images) == {kernel.id, disk.id}


async def test_a_private_image_comes_along_with_those_of_its_owner_only(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel", name="k", owner="owner")
    disk = boots_with(source, kernel, owner="owner")
    await synced(source, target, selection=CHOSEN)
    assert set(target.images) == {kernel.id, disk.id}


async def test_what_stopped_being_shared_while_it_was_looked_at_does_not_come_along(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel", name="k", owner="owner", visibility="shared")
    source.share(kernel.id, stranger="accepted")
    boots_with(source, kernel)
    looking = source.hold("members", image_id=kernel.id)
    planning = asyncio.create_task(plan(source, target, selection=CHOSEN))
    async with asyncio.timeout(120):
        await looking.reached.wait()
    source.edit(kernel.id, visibility="private")
    looking.go.set()
    assert not (await planning).actions


async def test_a_selected_image_needs_nobodys_leave(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel", name="disk", owner="victim")
    disk = boots_with(source, kernel)
    await synced(source, target, selection=CHOSEN)
    assert set(target.images) == {kernel.id, disk.id}


async def test_what_is_there_already_is_booted_and_left_as_it_is(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel", name="k", owner="victim")
    disk = boots_with(source, kernel)
    there = target.put(b"kernel", id=kernel.id, name="theirs")
    await sync(source, target, selection=CHOSEN, visibility="public")
    assert target.images[kernel.id] == there
    assert disk.id in target.images


@pytest.mark.parametrize(
    ("own", "asked", "becomes"),
    [
        ("private", "public", "private"),
        ("shared", "community", "shared"),
        ("public", "private", "private"),
        ("community", "public", "community"),
        ("public", None, "public"),
    ],
)
async def test_what_nobody_chose_is_never_made_visible_to_more(
    source: MemoryLibrary, target: MemoryLibrary, own: str, asked: str | None, becomes: str
) -> None:
    kernel = source.put(b"kernel", name="k", owner="owner", visibility=own)
    disk = boots_with(source, kernel, owner="owner")
    await synced(source, target, selection=CHOSEN, visibility=asked)
    assert target.images[kernel.id].visibility == becomes
    assert target.images[disk.id].visibility == (asked or "community")


async def test_what_a_rule_excludes_does_not_come_along(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel", name="wip", owner="stranger", visibility="public")
    boots_with(source, kernel)
    chosen = Selection(CHOSEN.match, exclude=(Rules(names=("wip",)),))
    await sync(source, target, selection=chosen)
    assert not target.images
    assert "excluded by name 'wip'" in reasons(await plan(source, target, selection=chosen))


async def test_what_nobody_chose_takes_nobodys_place(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    golden = target.put(b"golden", name="golden", visibility="public")
    kernel = source.put(b"evil", name="golden", owner="stranger")
    disk = boots_with(source, kernel)
    options: dict[str, Any] = {"selection": CHOSEN, "on_conflict": OnConflict.REPLACE}
    await synced(source, target, **options)
    assert target.images[golden.id] == golden
    assert target.images[kernel.id].name == "golden (source)"
    assert target.images[disk.id].properties["kernel_id"] == kernel.id
