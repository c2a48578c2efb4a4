"""Which images a listing gives, in which order, on which page."""

from collections.abc import Mapping
from itertools import permutations, product
from typing import Any

import pytest

from meltemi.catalogue.sql import SqlCatalogue
from meltemi.errors import RefusedError, VanishedError
from meltemi.model.image import Hashes, Member
from meltemi.model.listing import SORT_KEYS, Condition, Listing, Operator, Viewer
from meltemi.model.record import Record
from tests.catalogue.recording import ADMIN, NOBODY, OTHER, OWNER, data, filled, fresh, names, walk

BY_NAME = (("name", False), ("id", False))
VISIBILITIES = ("private", "shared", "community", "public")
ADMIN_OF_OTHER = Viewer("other", is_admin=True)


@pytest.fixture
async def sharing(catalogue: SqlCatalogue) -> SqlCatalogue:
    """Give a catalogue with an image of each kind that makes a difference to who sees it."""
    for owner, visibility in product(("owner", "other"), VISIBILITIES):
        await catalogue.add(fresh(name=f"{owner} {visibility}", owner=owner, visibility=visibility))
    for status in ("pending", "accepted", "rejected"):
        record = await catalogue.add(fresh(name=status, visibility="shared"))
        await catalogue.offer(record.image.id, Member("other", status))
        await catalogue.offer(record.image.id, Member("third", "accepted"))
    former = await catalogue.add(fresh(name="no longer shared"))
    await catalogue.offer(former.image.id, Member("other", "accepted"))
    await catalogue.add(fresh(name="nobody's", owner=None))
    return catalogue


OWN = {f"other {visibility}" for visibility in VISIBILITIES}
EVERYTHING = (
    *(f"{owner} {visibility}" for owner in ("owner", "other") for visibility in VISIBILITIES),
    *("pending", "accepted", "rejected", "no longer shared", "nobody's"),
)


@pytest.mark.parametrize(
    ("viewer", "wanted", "expected"),
    [
        (OTHER, {}, {*OWN, "owner public", "accepted"}),
        (OTHER, {"member_status": "pending"}, {*OWN, "owner public", "pending"}),
        (
            OTHER,
            {"member_status": "all"},
            {*OWN, "owner public", "pending", "accepted", "rejected"},
        ),
        (OTHER, {"visibility": "all"}, {*OWN, "owner public", "owner community", "accepted"}),
        (OTHER, {"visibility": "private"}, {"other private"}),
        (OTHER, {"visibility": "public"}, {"other public", "owner public"}),
        (OTHER, {"visibility": "community"}, {"other community", "owner community"}),
        (OTHER, {"visibility": "shared"}, {"other shared", "accepted"}),
        (
            OTHER,
            {"visibility": "shared", "member_status": "rejected"},
            {"other shared", "rejected"},
        ),
        (NOBODY, {}, {"owner public", "other public"}),
        (NOBODY, {"visibility": "community"}, {"owner community", "other community"}),
        (NOBODY, {"visibility": "shared", "member_status": "all"}, set()),
        (ADMIN, {}, {*EVERYTHING} - {"owner community", "other community"}),
        (ADMIN_OF_OTHER, {}, {*EVERYTHING} - {"owner community"}),
        (ADMIN, {"visibility": "all"}, {*EVERYTHING}),
        (ADMIN, {"visibility": "community"}, {"owner community", "other community"}),
        (
            ADMIN,
            {"visibility": "shared"},
            {"owner shared", "other shared", "pending", "accepted", "rejected"},
        ),
    ],
)
async def test_who_sees_what(
    sharing: SqlCatalogue, viewer: Viewer, wanted: Mapping[str, Any], expected: set[str]
) -> None:
    found = await names(sharing, viewer, **wanted)
    assert sorted(map(str, found)) == sorted(expected)


async def test_hidden_images_are_listed_by_themselves(catalogue: SqlCatalogue) -> None:
    await catalogue.add(fresh(name="hidden", os_hidden=True))
    await catalogue.add(fresh(name="plain"))
    assert await names(catalogue, OWNER) == ["plain"]
    assert await names(catalogue, OWNER, hidden=True) == ["hidden"]
    assert await names(catalogue, ADMIN, hidden=True) == ["hidden"]


@pytest.fixture
async def varied(catalogue: SqlCatalogue) -> SqlCatalogue:
    """Give a catalogue with images that differ in every attribute."""
    day = "2026-01-0{}T00:00:00.000000Z".format
    for number, name in enumerate(("zero", "one", "two", 'th"ree,'), 1):
        await catalogue.add(
            fresh(
                name=name,
                id=f"0000000{number}-0000-4000-8000-000000000000",
                status=("queued", "saving", "importing", "queued")[number - 1],
                size=None if number == 1 else number * 10,
                disk_format=(None, "raw", "qcow2", "raw")[number - 1],
                container_format=(None, "bare", "ovf", "bare")[number - 1],
                min_disk=number,
                min_ram=number,
                protected=number == 2,
                hashes=Hashes(f"m{number}", "sha512", f"v{number}"),
                tags=frozenset({"all", f"t{number}", "q'\"ü"}),
                properties={
                    "all": "same",
                    "one": f"v{number}",
                    'q"\\$.é': f"é\\{number}",
                    f"only{number}": "",
                },
                created_at=day(number),
                updated_at=day(9 - number),
            )
        )
    return catalogue


def when(attribute: str, operator: str, *values: str | int | bool) -> Mapping[str, Any]:
    """Give a listing's part with one condition."""
    return {"conditions": (Condition(attribute, Operator(operator), values),)}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (when("name", "eq", "one"), "2"),
        (when("name", "eq", "One"), ""),
        (when("name", "in", "one", 'th"ree,', "none"), "24"),
        (when("name", "in"), ""),
        (when("id", "in", "00000001-0000-4000-8000-000000000000", "x"), "1"),
        (when("status", "eq", "queued"), "14"),
        (when("status", "in", "saving", "importing"), "23"),
        (when("disk_format", "eq", "raw"), "24"),
        (when("container_format", "in", "ovf"), "3"),
        (when("size", "gte", 30), "34"),
        (when("size", "lte", 20), "2"),
        (when("size", "eq", 40), "4"),
        (when("min_disk", "gt", 2), "34"),
        (when("min_ram", "lt", 2), "1"),
        (when("protected", "eq", True), "2"),
        (when("protected", "eq", False), "134"),
        (when("checksum", "eq", "m3"), "3"),
        (when("os_hash_value", "eq", "v1"), "1"),
        (when("os_hash_algo", "neq", "sha512"), ""),
        (when("owner", "eq", "owner"), "1234"),
        *(
            (when("created_at", operator, "2026-01-02T00:00:00.000000Z"), expected)
            for operator, expected in (
                ("eq", "2"),
                ("neq", "134"),
                ("gt", "34"),
                ("gte", "234"),
                ("lt", "1"),
                ("lte", "12"),
            )
        ),
        (when("updated_at", "gt", "2026-01-07T00:00:00.000000Z"), "1"),
        (
            {
                "conditions": (
                    *when("size", "gt", 20)["conditions"],
                    *when("size", "lt", 40)["conditions"],
                )
            },
            "3",
        ),
        ({"properties": {"all": "same"}}, "1234"),
        ({"properties": {"all": "sam"}}, ""),
        ({"properties": {"all": "same", "one": "v3"}}, "3"),
        ({"properties": {"one": "v3", "only4": ""}}, ""),
        ({"properties": {"only4": ""}}, "4"),
        ({"properties": {"same": "all"}}, ""),
        ({"properties": {'q"\\$.é': "é\\3"}}, "3"),
        ({"tags": frozenset({"all"})}, "1234"),
        ({"tags": frozenset({"all", "t2"})}, "2"),
        ({"tags": frozenset({"t1", "t2"})}, ""),
        ({"tags": frozenset({"q'\"ü", "t4"})}, "4"),
        ({"tags": frozenset({"t"})}, ""),
        (
            {"tags": frozenset({"t2"}), "properties": {"one": "v2"}, **when("name", "eq", "one")},
            "2",
        ),
    ],
)
async def test_conditions(varied: SqlCatalogue, wanted: Mapping[str, Any], expected: str) -> None:
    listing = Listing(OWNER, order=(("id", False),), **wanted)
    found = [record.image.id[7] for record in await varied.page(listing)]
    assert "".join(found) == expected


@pytest.mark.parametrize("key", SORT_KEYS)
@pytest.mark.parametrize("descends", [False, True])
async def test_every_order(varied: SqlCatalogue, key: str, descends: bool) -> None:
    def value(record: Record) -> Any:
        found = getattr(record.image, key)
        return found if found is not None else 0 if key == "size" else ""

    every = await varied.page(Listing(OWNER))
    by_id = sorted(every, key=lambda record: record.image.id)
    expected = [r.image.id for r in sorted(by_id, key=value, reverse=descends)]
    order = ((key, descends), ("id", False))
    assert await walk(varied, Listing(OWNER, order=order)) == expected
    assert await walk(varied, Listing(OWNER, order=order, limit=1)) == expected


@pytest.mark.parametrize("directions", list(product([False, True], repeat=3)))
async def test_pages_lose_and_repeat_nothing(
    catalogue: SqlCatalogue, directions: tuple[bool, ...]
) -> None:
    """Neither where values are missing, nor where many are the same, nor where both meet."""
    for name, size in product([None, "", "a", "Z", "é", "\N{PILE OF POO}", "\uffee"], [None, 0, 3]):
        await catalogue.add(fresh(name=name, size=size))
    every = {record.image.id: record.image for record in await catalogue.page(Listing(OWNER))}
    for keys in permutations(("name", "size", "id")):
        order = tuple(zip(keys, directions, strict=True))
        expected = sorted(every)
        for key, descends in reversed(order):
            expected.sort(
                key=lambda id_, key=key: getattr(every[id_], key) or (0 if key == "size" else ""),  # type: ignore[misc]
                reverse=descends,
            )
        for limit in (4, 21):
            assert await walk(catalogue, Listing(OWNER, order=order, limit=limit)) == expected


async def test_a_marker_is_an_image_that_the_viewer_may_see(catalogue: SqlCatalogue) -> None:
    private = await catalogue.add(fresh(name="b"))
    hidden = await catalogue.add(fresh(name="c", os_hidden=True))
    await catalogue.add(fresh(name="d", visibility="public"))
    for marker, viewer in (("nothing", ADMIN), (private.image.id, OTHER)):
        with pytest.raises(VanishedError, match=marker):
            await names(catalogue, viewer, marker=marker)
    # As in Glance, it need not be in the listing.
    for record, viewer in ((private, OWNER), (hidden, OWNER)):
        assert await names(catalogue, viewer, marker=record.image.id, order=BY_NAME) == ["d"]


async def test_no_page_is_longer_than_its_limit(catalogue: SqlCatalogue) -> None:
    for name in "abc":
        await catalogue.add(fresh(name=name))
    for limit, expected in ((0, []), (2, ["a", "b"]), (3, ["a", "b", "c"]), (9, ["a", "b", "c"])):
        assert await names(catalogue, OWNER, limit=limit, order=BY_NAME) == expected


async def test_a_listing_has_whole_records(catalogue: SqlCatalogue) -> None:
    active = await filled(catalogue, data(2**40, virtual_size=2**41), tags=frozenset("ab"))
    assert list(await catalogue.page(Listing(OWNER))) == [active]


async def test_a_number_that_no_database_can_hold(catalogue: SqlCatalogue) -> None:
    with pytest.raises(RefusedError):
        await names(catalogue, OWNER, **when("size", "lte", 2**64))
