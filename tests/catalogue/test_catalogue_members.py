"""Whom images are offered to, and what projects have."""

import pytest

from meltemi.catalogue.sql import SqlCatalogue
from meltemi.errors import ConflictError, VanishedError
from meltemi.model.image import Member
from tests.catalogue.recording import altered, data, filled, fresh


async def test_an_offer_is_answered_and_withdrawn(catalogue: SqlCatalogue) -> None:
    image = (await catalogue.add(fresh(visibility="shared"))).image.id
    assert await catalogue.members(image) == []
    offered = await catalogue.offer(image, Member("b"))
    assert offered.created_at == offered.updated_at is not None
    await catalogue.offer(image, Member("a", "accepted"))
    assert await catalogue.members(image) == [Member("a", "accepted"), Member("b", "pending")]
    answered = await catalogue.answer(image, Member("b", "rejected"))
    assert answered == Member("b", "rejected")
    assert (answered.updated_at or "") >= (answered.created_at or "") == offered.created_at
    [_, kept] = await catalogue.members(image)
    times = answered.created_at, answered.updated_at
    assert (kept, kept.created_at, kept.updated_at) == (answered, *times)
    await catalogue.withdraw(image, "a")
    assert await catalogue.members(image) == [answered]
    await catalogue.offer(image, Member("a"))


async def test_an_offer_is_made_once(catalogue: SqlCatalogue) -> None:
    image = (await catalogue.add(fresh())).image.id
    await catalogue.offer(image, Member("a", "accepted"))
    with pytest.raises(ConflictError, match="project a already"):
        await catalogue.offer(image, Member("a"))
    assert await catalogue.members(image) == [Member("a", "accepted")]
    for call in (catalogue.answer(image, Member("b")), catalogue.withdraw(image, "b")):
        with pytest.raises(VanishedError, match="project b"):
            await call


async def test_offers_go_with_their_image_and_no_change_touches_them(
    catalogue: SqlCatalogue,
) -> None:
    added = await catalogue.add(fresh(visibility="shared"))
    await catalogue.offer(added.image.id, Member("a"))
    await catalogue.change(altered(added, visibility="private"))
    assert await catalogue.members(added.image.id) == [Member("a")]
    await catalogue.remove(added.image.id)
    with pytest.raises(VanishedError):
        await catalogue.members(added.image.id)
    with pytest.raises(VanishedError):
        await catalogue.offer(added.image.id, Member("a"))


async def test_what_a_project_has(catalogue: SqlCatalogue) -> None:
    nothing = {"images": 0, "bytes": 0, "uploading": 0, "staged_bytes": 0}
    assert await catalogue.usage("owner") == nothing
    await filled(catalogue, data(2**50))
    off = await filled(catalogue, data(7))
    await catalogue.move(off.image.id, expected=["active"], status="deactivated")
    clone = await catalogue.clone(off.image.id, fresh(status="active"))
    await filled(catalogue, data(1000), owner="other")
    await catalogue.add(fresh(size=5))
    for status in ("saving", "uploading", "importing"):
        await catalogue.add(fresh(status=status, size=100))
    expected = {"images": 7, "bytes": 2**50 + 14, "uploading": 3, "staged_bytes": 200}
    assert await catalogue.usage("owner") == expected
    await catalogue.remove(clone.image.id)
    assert await catalogue.usage("owner") == {**expected, "images": 6, "bytes": 2**50 + 7}
    assert await catalogue.usage("other") == {**nothing, "images": 1, "bytes": 1000}
