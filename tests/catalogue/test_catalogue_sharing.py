"""Images that get the data of others, and how those are found that have the same."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from meltemi.catalogue import images
from meltemi.catalogue.sql import SqlCatalogue
from meltemi.errors import ConflictError, VanishedError
from meltemi.model.image import Hashes
from meltemi.model.record import Content, Record
from tests.catalogue.contending import outcome
from tests.catalogue.recording import ADMIN, NOBODY, OTHER, OWNER, data, filled, fresh

RAW: dict[str, Any] = {"disk_format": "raw", "container_format": "bare"}
HASHES = Hashes(None, "sha512", "hash")


async def test_a_queued_image_shares_the_data_of_another(catalogue: SqlCatalogue) -> None:
    content = data(9, virtual_size=90)
    source = await filled(catalogue, content, **RAW)
    queued = await catalogue.add(fresh(name="n", properties={"k": "v"}, **RAW))
    shared = await catalogue.share(queued.image.id, source.image.id)
    values: dict[str, Any] = {
        "status": "active",
        "size": 9,
        "virtual_size": 90,
        "hashes": content.hashes,
    }
    image = replace(queued.image, **values, updated_at=shared.image.updated_at)
    assert shared == Record(image, content.id, 2)
    assert await catalogue.get(queued.image.id, ADMIN) == shared
    assert await catalogue.remove(source.image.id) is None
    assert await catalogue.remove(queued.image.id) == content


async def test_what_cannot_share(catalogue: SqlCatalogue) -> None:
    source = await filled(catalogue, **RAW)
    empty = await catalogue.add(fresh(**RAW))
    other = await catalogue.add(fresh(**RAW | {"disk_format": "qcow2"}))
    without = await catalogue.add(fresh())
    held = await catalogue.add(fresh(**RAW))
    await catalogue.hold(held.image.id, expected=["queued"], status="saving", holder="h")
    staged = await catalogue.add(fresh(**RAW))
    await catalogue.move(staged.image.id, expected=["queued"], status="uploading", content=data())
    for image, given in (
        (empty, empty),
        (empty, held),
        (empty, staged),
        (source, source),
        (other, source),
        (without, source),
        (held, source),
        (staged, source),
    ):
        with pytest.raises(ConflictError):
            await catalogue.share(image.image.id, given.image.id)
    for image, given in ((fresh(), source), (empty, fresh())):
        with pytest.raises(VanishedError):
            await catalogue.share(image.image.id, given.image.id)
    assert await catalogue.get(empty.image.id, ADMIN) == empty


async def test_who_shares_and_who_removes_at_the_same_moment(catalogue: SqlCatalogue) -> None:
    for _ in range(10):
        content = data()
        source = await filled(catalogue, content, **RAW)
        queued = [await catalogue.add(fresh(**RAW)) for _ in range(2)]
        removed, *shared = await asyncio.gather(
            outcome(catalogue.remove(source.image.id)),
            *(outcome(catalogue.share(one.image.id, source.image.id)) for one in queued),
        )
        have = [one for one in shared if isinstance(one, Record)]
        if have:
            assert removed is None
            assert [one for one in shared if one not in have] in ([], [VanishedError])
            gone = [await catalogue.remove(one.image.id) for one in have]
            assert [one for one in gone if one] == [content]
        else:
            assert (removed, shared) == (content, [VanishedError] * 2)
        assert await catalogue.loose() == [content]
        await catalogue.forget(content.id)


async def test_one_of_many_gives_an_image_its_data(catalogue: SqlCatalogue) -> None:
    sources = [await filled(catalogue, **RAW) for _ in range(6)]
    queued = (await catalogue.add(fresh(**RAW))).image.id
    found = await asyncio.gather(
        *(outcome(catalogue.share(queued, one.image.id)) for one in sources)
    )
    [winner] = [one for one in found if isinstance(one, Record)]
    assert found.count(ConflictError) == 5
    assert await catalogue.get(queued, ADMIN) == winner


async def test_images_with_the_same_data_are_found_as_far_as_one_may_see_them(
    catalogue: SqlCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "AT_ONCE", 2)
    private = await filled(catalogue)
    hidden = await filled(catalogue, visibility="public", os_hidden=True)
    theirs = await filled(catalogue, owner="other")
    clone = await catalogue.clone(private.image.id, fresh(status="active", visibility="community"))
    await filled(catalogue, Content("x", 1, Hashes("md5", "sha512", "other hash")))
    await filled(catalogue, Content("y", 1, Hashes("md5", "sha256", "hash")))
    await catalogue.add(fresh(hashes=HASHES))
    staged = await catalogue.add(fresh())
    await catalogue.move(staged.image.id, expected=["queued"], status="uploading", content=data())
    off = await filled(catalogue, owner="other")
    off = await catalogue.move(off.image.id, expected=["active"], status="deactivated")
    for viewer, expected in (
        (ADMIN, [private, hidden, theirs, clone, off]),
        (OWNER, [private, hidden, clone]),
        (OTHER, [hidden, theirs, clone, off]),
        (NOBODY, [hidden, clone]),
    ):
        found: list[Record] = []
        while page := await catalogue.alike(HASHES, viewer, found[-1].image.id if found else ""):
            assert len(page) <= 2
            found += page
        assert found == sorted(expected, key=lambda one: one.image.id)
    assert await catalogue.alike(Hashes(None, "sha512", "no hash"), ADMIN) == []


async def test_images_are_found_by_their_content(
    catalogue: SqlCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "AT_ONCE", 2)
    sources = [await filled(catalogue) for _ in range(3)]
    clone = await catalogue.clone(sources[0].image.id, fresh(status="active"))
    staged = await catalogue.add(fresh())
    content = data()
    await catalogue.move(staged.image.id, expected=["queued"], status="uploading", content=content)
    await filled(catalogue)
    wanted = [*(one.content or "" for one in sources), content.id, "nothing"]
    assert await catalogue.having(wanted) == {
        clone.image.id: sources[0].content,
        **{one.image.id: one.content for one in sources},
    }
    assert await catalogue.having([]) == {}
