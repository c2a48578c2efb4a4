"""What every catalogue does with single images."""

import re
from dataclasses import fields, replace
from typing import Any

import pytest

from meltemi.catalogue.sql import SqlCatalogue, open_catalogue
from meltemi.errors import (
    ConflictError,
    ForbiddenError,
    RefusedError,
    StaleRecordError,
    VanishedError,
)
from meltemi.model.image import Hashes, Image, Member
from meltemi.model.record import Content, Record
from tests.catalogue.recording import (
    ADMIN,
    NOBODY,
    OTHER,
    OWNER,
    altered,
    data,
    filled,
    fresh,
    full,
)

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
MADE = {"id", "status", "size", "virtual_size", "hashes", "created_at", "updated_at"}


def test_the_full_image_is_full() -> None:
    plain = Image("")
    values = full()
    assert {field.name for field in fields(Image)} - MADE == set(values)
    assert [key for key, value in values.items() if getattr(plain, key) == value] == []


async def test_an_image_is_given_as_it_was_added(catalogue: SqlCatalogue, url: str) -> None:
    wanted = fresh(**full())
    added = await catalogue.add(wanted)
    times = added.image.created_at, added.image.updated_at
    assert TIME.fullmatch(times[0] or "")
    assert times[0] == times[1]
    assert added == replace(altered(wanted, created_at=times[0], updated_at=times[1]), version=1)
    assert await catalogue.get(wanted.image.id, ADMIN) == added
    again = await open_catalogue(url)
    assert await again.get(wanted.image.id, ADMIN) == added
    await again.close()


async def test_an_image_that_brings_its_times(catalogue: SqlCatalogue) -> None:
    times = {"created_at": "2020-01-02T03:04:05.000006Z", "updated_at": "2021-01-02T03:04:05.0Z"}
    added = await catalogue.add(fresh(**times))
    assert (added.image.created_at, added.image.updated_at) == tuple(times.values())


async def test_an_id_is_taken_once_and_for_ever(catalogue: SqlCatalogue) -> None:
    first = await catalogue.add(fresh(name="first"))
    with pytest.raises(ConflictError, match=first.image.id):
        await catalogue.add(altered(first, name="second"))
    assert await catalogue.get(first.image.id, OWNER) == first
    assert await catalogue.remove(first.image.id) is None
    with pytest.raises(ConflictError, match="is or was in use"):
        await catalogue.add(first)
    source = await filled(catalogue)
    with pytest.raises(ConflictError):
        await catalogue.clone(source.image.id, first)
    with pytest.raises(VanishedError):
        await catalogue.get(first.image.id, ADMIN)


async def test_what_is_not_there(catalogue: SqlCatalogue) -> None:
    nothing = fresh()
    image = nothing.image.id
    for call in (
        catalogue.get(image, ADMIN),
        catalogue.change(nothing),
        catalogue.move(image, expected=["queued"], status="saving"),
        catalogue.move(image, expected=["queued"], status="active", content=data()),
        catalogue.remove(image),
        catalogue.clone(image, fresh()),
        catalogue.members(image),
        catalogue.offer(image, Member("p")),
        catalogue.answer(image, Member("p")),
        catalogue.withdraw(image, "p"),
        catalogue.get("x" * 1000, ADMIN),
    ):
        with pytest.raises(VanishedError):
            await call
    assert await catalogue.loose() == []


@pytest.mark.parametrize(
    ("visibility", "owner", "seen_by"),
    [
        ("private", "owner", {ADMIN, OWNER}),
        ("shared", "owner", {ADMIN, OWNER}),
        ("public", "owner", {ADMIN, OWNER, OTHER, NOBODY}),
        ("community", "owner", {ADMIN, OWNER, OTHER, NOBODY}),
        ("private", None, {ADMIN, OWNER, OTHER, NOBODY}),
    ],
)
async def test_who_may_see_an_image(
    catalogue: SqlCatalogue, visibility: str, owner: str | None, seen_by: set[object]
) -> None:
    added = await catalogue.add(fresh(visibility=visibility, owner=owner))
    for viewer in (ADMIN, OWNER, OTHER, NOBODY):
        if viewer in seen_by:
            assert await catalogue.get(added.image.id, viewer) == added
        else:
            with pytest.raises(VanishedError):
                await catalogue.get(added.image.id, viewer)


@pytest.mark.parametrize("status", ["pending", "accepted", "rejected"])
async def test_a_member_sees_a_shared_image(catalogue: SqlCatalogue, status: str) -> None:
    added = await catalogue.add(fresh(visibility="shared"))
    await catalogue.offer(added.image.id, Member("other", status))
    assert await catalogue.get(added.image.id, OTHER) == added
    await catalogue.change(altered(added, visibility="private"))
    with pytest.raises(VanishedError):
        await catalogue.get(added.image.id, OTHER)


async def test_everything_can_be_changed(catalogue: SqlCatalogue) -> None:
    added = await catalogue.add(fresh())
    wanted = altered(added, **full(), status="active", created_at="2000-01-01T00:00:00.000000Z")
    changed = await catalogue.change(wanted)
    assert changed == replace(
        altered(
            wanted,
            status="queued",
            created_at=added.image.created_at,
            updated_at=changed.image.updated_at,
        ),
        version=2,
    )
    assert (changed.image.updated_at or "") >= (added.image.updated_at or "")
    assert await catalogue.get(added.image.id, ADMIN) == changed
    emptied = await catalogue.change(replace(changed, image=Image(added.image.id, owner=None)))
    assert emptied.image == Image(
        added.image.id,
        created_at=added.image.created_at,
        updated_at=emptied.image.updated_at,
    )


async def test_a_change_decided_on_an_older_state_is_refused(catalogue: SqlCatalogue) -> None:
    added = await catalogue.add(fresh())
    changed = await catalogue.change(altered(added, name="new"))
    with pytest.raises(StaleRecordError, match=added.image.id):
        await catalogue.change(altered(added, name="lost"))
    moved = await catalogue.move(added.image.id, expected=["queued"], status="saving")
    assert moved.version > changed.version
    with pytest.raises(StaleRecordError):
        await catalogue.change(altered(changed, name="lost"))
    assert await catalogue.get(added.image.id, OWNER) == moved


async def test_a_size_without_data_can_be_changed_and_one_of_data_cannot(
    catalogue: SqlCatalogue,
) -> None:
    added = await catalogue.add(fresh())
    values: dict[str, Any] = {"size": 2**40, "virtual_size": 2**41, "hashes": Hashes("m", "a", "v")}
    staged = await catalogue.change(altered(added, **values))
    assert staged.image == replace(added.image, **values, updated_at=staged.image.updated_at)
    content = data(7, virtual_size=8)
    active = await catalogue.move(
        added.image.id, expected=["queued"], status="active", content=content
    )
    again = await catalogue.change(altered(active, **values, name="new"))
    assert (again.image.name, again.image.size, again.image.virtual_size) == ("new", 7, 8)
    assert (again.image.hashes, again.content) == (content.hashes, content.id)


async def test_a_status_is_changed_where_it_is_one_of_those_expected(
    catalogue: SqlCatalogue,
) -> None:
    image = (await catalogue.add(fresh())).image.id
    with pytest.raises(ConflictError, match=r"it is queued, .* only where it is saving or active"):
        await catalogue.move(
            image, expected=["saving", "active"], status="deactivated", content=data()
        )
    assert await catalogue.loose() == []
    content = data(11)
    moved = await catalogue.move(
        image, expected=["queued", "saving"], status="active", content=content
    )
    assert (moved.image.status, moved.image.size, moved.content) == ("active", 11, content.id)
    off = await catalogue.move(image, expected=["active"], status="deactivated")
    assert (off.image.status, off.image.size, off.content) == ("deactivated", 11, content.id)
    assert await catalogue.get(image, OWNER) == off


async def test_data_is_taken_away(catalogue: SqlCatalogue) -> None:
    content = data()
    active = await filled(catalogue, content)
    assert await catalogue.loose() == []
    queued = await catalogue.move(active.image.id, expected=["active"], status="queued")
    assert (queued.image.size, queued.image.hashes, queued.content) == (None, Hashes(), None)
    assert await catalogue.loose() == [content]


async def test_a_content_is_given_to_one_image_only(catalogue: SqlCatalogue) -> None:
    content = data()
    await filled(catalogue, content)
    other = await catalogue.add(fresh())
    with pytest.raises(ConflictError, match=content.id):
        await filled(catalogue, content)
    await catalogue.move(other.image.id, expected=["queued"], status="saving")


async def test_a_protected_image_is_not_removed(catalogue: SqlCatalogue) -> None:
    active = await filled(catalogue, protected=True)
    with pytest.raises(ForbiddenError, match="protected"):
        await catalogue.remove(active.image.id)
    assert await catalogue.get(active.image.id, OWNER) == active


async def test_a_content_is_told_until_it_is_forgotten(catalogue: SqlCatalogue) -> None:
    content = data(5, virtual_size=6)
    active = await filled(catalogue, content)
    with pytest.raises(ConflictError, match=content.id):
        await catalogue.forget(content.id)
    assert await catalogue.remove(active.image.id) == content
    assert await catalogue.loose() == [content]
    assert await catalogue.known([content.id, "other"]) == {content.id}
    await catalogue.forget(content.id)
    await catalogue.forget(content.id)
    assert await catalogue.loose() == []
    assert await catalogue.known([content.id]) == frozenset()
    assert await catalogue.known([]) == frozenset()


async def test_some_of_many_loose_contents_are_told(catalogue: SqlCatalogue) -> None:
    contents = [data() for _ in range(5)]
    for content in contents:
        await catalogue.remove((await filled(catalogue, content)).image.id)
    found: list[Content] = []
    while some := await catalogue.loose(limit=2):
        assert len(some) <= 2
        found += some
        for content in some:
            await catalogue.forget(content.id)
    assert sorted(c.id for c in found) == sorted(c.id for c in contents)


async def test_a_clone_has_the_same_content(catalogue: SqlCatalogue) -> None:
    content = data(9, virtual_size=90)
    source = await filled(catalogue, content, name="source")
    wanted = fresh(**full(owner="other"), status="active", size=1, hashes=Hashes("other"))
    clone = await catalogue.clone(source.image.id, wanted)
    values: dict[str, Any] = {
        "size": 9,
        "virtual_size": 90,
        "hashes": content.hashes,
        "created_at": clone.image.created_at,
        "updated_at": clone.image.created_at,
    }
    assert clone == Record(replace(wanted.image, **values), content.id, 1)
    assert await catalogue.get(wanted.image.id, ADMIN) == clone
    assert await catalogue.remove(source.image.id) is None
    assert await catalogue.loose() == []
    again = await catalogue.clone(clone.image.id, fresh(status="active"))
    await catalogue.change(altered(clone, protected=False))
    assert await catalogue.remove(clone.image.id) is None
    assert await catalogue.remove(again.image.id) == content


async def test_there_is_no_clone_without_data(catalogue: SqlCatalogue) -> None:
    empty = await catalogue.add(fresh())
    wanted = fresh()
    with pytest.raises(ConflictError, match="no data"):
        await catalogue.clone(empty.image.id, wanted)
    await catalogue.add(wanted)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "a\0b"},
        {"owner": "a\0b"},
        {"tags": frozenset({"\0"})},
        {"properties": {"\0": ""}},
        {"properties": {"k": "\0"}},
        {"name": "\ud800"},
        {"tags": frozenset({"\ud800"})},
        {"properties": {"k": "\udfff"}},
        {"min_disk": 2**63},
        {"size": 2**64},
    ],
)
async def test_what_no_database_can_hold_is_refused(
    catalogue: SqlCatalogue, values: dict[str, object]
) -> None:
    wanted = fresh()
    with pytest.raises(RefusedError):
        await catalogue.add(altered(wanted, **values))
    added = await catalogue.add(wanted)
    with pytest.raises(RefusedError):
        await catalogue.change(altered(added, **values))
    assert await catalogue.get(wanted.image.id, OWNER) == added
