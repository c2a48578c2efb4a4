"""Who is at work on images, and what becomes of them when they die."""

import pytest

from meltemi.catalogue.sql import SqlCatalogue
from meltemi.errors import ConflictError, VanishedError
from meltemi.model.image import Hashes
from tests.catalogue.recording import ADMIN, data, fresh

ME, OTHER = "a" * 32, "b" * 32


async def test_hearts_are_counted(catalogue: SqlCatalogue) -> None:
    assert await catalogue.beat(ME) == {ME: 0}
    assert await catalogue.beat(ME) == {ME: 1}
    assert await catalogue.beat(OTHER) == {ME: 1, OTHER: 0}


async def test_only_who_holds_an_image_moves_it(catalogue: SqlCatalogue) -> None:
    image = (await catalogue.add(fresh())).image.id
    held = await catalogue.hold(image, expected=["queued"], status="saving", holder=ME)
    assert held.image.status == "saving"
    with pytest.raises(ConflictError):
        await catalogue.hold(image, expected=["queued"], status="saving", holder=OTHER)
    with pytest.raises(ConflictError):
        await catalogue.move(image, expected=["saving"], status="active", holder=OTHER)
    content = data()
    done = await catalogue.move(
        image, expected=["saving"], status="active", content=content, holder=ME
    )
    assert (done.image.status, done.content) == ("active", content.id)
    with pytest.raises(ConflictError):  # nobody holds it any more
        await catalogue.move(image, expected=["active"], status="deactivated", holder=ME)
    await catalogue.move(image, expected=["active"], status="deactivated")


async def test_what_the_dead_held_is_queued(catalogue: SqlCatalogue) -> None:
    await catalogue.beat(ME)
    await catalogue.beat(OTHER)
    mine, staged, others = [(await catalogue.add(fresh())).image.id for _ in range(3)]
    await catalogue.hold(mine, expected=["queued"], status="saving", holder=ME)
    await catalogue.hold(staged, expected=["queued"], status="uploading", holder=ME)
    content = data()
    await catalogue.move(
        staged, expected=["uploading"], status="uploading", content=content, holder=ME
    )
    await catalogue.hold(staged, expected=["uploading"], status="importing", holder=ME)
    await catalogue.hold(others, expected=["queued"], status="saving", holder=OTHER)
    before = await catalogue.get(mine, ADMIN)
    assert list(await catalogue.bury(ME)) == sorted([mine, staged])
    assert await catalogue.bury(ME) == []
    after = await catalogue.get(mine, ADMIN)
    assert after.image.status == "queued"
    assert after.version > before.version
    given_back = await catalogue.get(staged, ADMIN)
    assert (given_back.image.status, given_back.content) == ("queued", None)
    assert (given_back.image.size, given_back.image.hashes) == (None, Hashes())
    assert [one.id for one in await catalogue.loose()] == [content.id]
    assert (await catalogue.get(others, ADMIN)).image.status == "saving"
    assert await catalogue.beat(OTHER) == {OTHER: 1}
    with pytest.raises(ConflictError):
        await catalogue.move(mine, expected=["saving"], status="active", holder=ME)


async def test_an_image_that_is_not_there_is_held_by_nobody(catalogue: SqlCatalogue) -> None:
    with pytest.raises(VanishedError):
        await catalogue.hold("nothing", expected=["queued"], status="saving", holder=ME)
