"""Parts of images that wait for their data."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from meltemi.catalogue.sql import SqlCatalogue
from meltemi.errors import ConflictError, MeltemiError, SessionLostError, VanishedError
from meltemi.model.image import Hashes
from meltemi.model.record import Content, Part
from tests.catalogue.contending import outcome
from tests.catalogue.recording import data, filled, fresh

RAW: dict[str, Any] = {"disk_format": "raw", "container_format": "bare"}


async def queued(catalogue: SqlCatalogue, **attributes: Any) -> str:
    return (await catalogue.add(fresh(**RAW | attributes))).image.id


async def put(catalogue: SqlCatalogue, image: str, number: int = 0, size: int = 5) -> Part:
    """Add a part as it is meant: its holder lives from before it is stored."""
    holder = str(uuid4())
    part = Part(number, f"part/{uuid4()}", size)
    await catalogue.beat(holder)
    await catalogue.add_part(image, part, holder)
    assert holder not in await catalogue.beat("us")
    return part


def left(part: Part) -> Content:
    return Content(part.content, part.size, Hashes())


async def test_parts_are_listed_by_their_numbers(catalogue: SqlCatalogue) -> None:
    image, other = await queued(catalogue), await queued(catalogue)
    parts = [await put(catalogue, image, number, number) for number in (9999, 0, 7)]
    theirs = await put(catalogue, other, 7)
    assert await catalogue.parts(image) == sorted(parts, key=lambda part: part.number)
    assert await catalogue.parts(other) == [theirs]
    assert await catalogue.parts(str(uuid4())) == []
    names = [part.content for part in parts]
    assert await catalogue.known([*names, "another"]) == set(names)
    assert await catalogue.loose() == []


async def test_a_number_is_given_once(catalogue: SqlCatalogue) -> None:
    image = await queued(catalogue)
    tries = [outcome(put(catalogue, image)) for _ in range(4)]
    found = await asyncio.gather(*tries)
    [part] = [one for one in found if isinstance(one, Part)]
    assert found.count(ConflictError) == 3
    assert await catalogue.parts(image) == [part]


async def test_who_was_buried_brings_nothing_any_more(catalogue: SqlCatalogue) -> None:
    image = await queued(catalogue)
    await catalogue.beat("holder")
    await catalogue.bury("holder")
    with pytest.raises(SessionLostError):
        await catalogue.add_part(image, Part(0, "part", 1), "holder")
    assert await catalogue.parts(image) == []
    assert await catalogue.known(["part"]) == set()


async def test_parts_come_only_for_images_that_wait(catalogue: SqlCatalogue) -> None:
    saving, staged = await queued(catalogue), await queued(catalogue)
    active = (await filled(catalogue, **RAW)).image.id
    await catalogue.hold(saving, expected=["queued"], status="saving", holder="h")
    await catalogue.move(staged, expected=["queued"], status="uploading", content=data())
    part = await put(catalogue, saving)
    assert await catalogue.parts(saving) == [part]
    gone: tuple[tuple[str, type[MeltemiError]], ...] = (
        (staged, ConflictError),
        (active, ConflictError),
        (str(uuid4()), VanishedError),
    )
    for image, error in gone:
        with pytest.raises(error):
            await put(catalogue, image)
        assert await catalogue.parts(image) == []


async def test_an_image_that_gets_its_data_has_no_parts(catalogue: SqlCatalogue) -> None:
    source = (await filled(catalogue, **RAW)).image.id
    images = [await queued(catalogue) for _ in range(5)]
    parts = [await put(catalogue, image) for image in images]
    moved, shared, staged, removed, dropped = images
    await catalogue.hold(moved, expected=["queued"], status="saving", holder="h")
    await catalogue.move(moved, expected=["saving"], status="queued", holder="h")
    assert await catalogue.parts(moved) == parts[:1], "one that broke off keeps them"
    await catalogue.move(moved, expected=["queued"], status="active", content=data())
    await catalogue.share(shared, source)
    await catalogue.move(staged, expected=["queued"], status="uploading", content=data())
    assert await catalogue.remove(removed) is None
    await catalogue.drop_parts(dropped)
    for image in images:
        assert await catalogue.parts(image) == []
    assert await catalogue.loose() == sorted(map(left, parts), key=lambda one: one.id)
    assert await catalogue.known([part.content for part in parts]) == {one.content for one in parts}
    for part in parts:
        await catalogue.forget(part.content)
    assert await catalogue.loose() == []
    assert await catalogue.known([part.content for part in parts]) == set()
    anew = await put(catalogue, dropped)
    await catalogue.forget(anew.content)
    assert await catalogue.parts(dropped) == [anew], "what is waited for is not forgotten"


async def test_parts_count_as_what_is_staged(catalogue: SqlCatalogue) -> None:
    image = await queued(catalogue, owner="one")
    other = await queued(catalogue, owner="two")
    for number in range(3):
        await put(catalogue, image, number, 2**40)
    await put(catalogue, other)
    assert (await catalogue.usage("one"))["staged_bytes"] == 3 * 2**40
    assert (await catalogue.usage("two"))["staged_bytes"] == 5
    await catalogue.remove(image)
    assert (await catalogue.usage("one"))["staged_bytes"] == 0
