"""Images as JSON: they read back, and what is none is refused."""

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meltemi.model.image import Hashes, Image, Member
from meltemi.model.wire import image_from_wire, image_to_wire, members_from_wire

TEXT = st.text(max_size=20)
SIZES = st.integers(0, 2**60)
RESERVED = set(image_to_wire(Image("1"))) | {
    *("self", "file", "schema", "direct_url", "locations", "stores")
}
IMAGES = st.builds(
    Image,
    id=TEXT,
    name=st.none() | TEXT,
    status=TEXT,
    visibility=TEXT,
    owner=st.none() | TEXT,
    size=st.none() | SIZES,
    virtual_size=st.none() | SIZES,
    hashes=st.builds(Hashes, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT),
    disk_format=st.none() | TEXT,
    container_format=st.none() | TEXT,
    min_disk=SIZES,
    min_ram=SIZES,
    protected=st.booleans(),
    os_hidden=st.booleans(),
    tags=st.frozensets(TEXT),
    properties=st.dictionaries(TEXT.filter(lambda name: name not in RESERVED), TEXT).map(
        MappingProxyType
    ),
    created_at=st.none() | TEXT,
    updated_at=st.none() | TEXT,
)


@given(IMAGES)
def test_an_image_reads_back(image: Image) -> None:
    assert image_from_wire(json.loads(json.dumps(image_to_wire(image)))) == image


def test_what_is_optional_may_be_absent() -> None:
    image = image_from_wire({"id": "1", "status": "queued", "visibility": "shared"})
    assert image == Image("1", visibility="shared", properties=MappingProxyType({}))


def test_what_glance_itself_adds_is_no_property() -> None:
    body = image_to_wire(Image("1", properties={"mine": "1"}))
    body |= {
        "self": "/",
        "file": "/",
        "schema": "/",
        "direct_url": "x",
        "stores": "a",
        "gone": None,
    }
    assert dict(image_from_wire({**body, "locations": []}).properties) == {"mine": "1"}


@pytest.mark.parametrize(
    "change",
    [
        {"id": ...},
        {"status": ...},
        {"visibility": ...},
        {"status": 5},
        {"visibility": None},
        {"size": "many"},
        {"size": []},
        {"min_disk": "x"},
        {"tags": [{}]},
        {"tags": 5},
    ],
)
def test_what_is_no_image_is_refused(change: dict[str, Any]) -> None:
    body = {**image_to_wire(Image("1")), **change}
    body = {key: value for key, value in body.items() if value is not ...}
    with pytest.raises((KeyError, TypeError, ValueError)):
        image_from_wire(body)


@given(st.dictionaries(TEXT, st.sampled_from(["pending", "accepted", "rejected"])))
def test_members_are_ordered(statuses: dict[str, str]) -> None:
    bodies = [{"member_id": project, "status": status} for project, status in statuses.items()]
    expected = tuple(Member(project, statuses[project]) for project in sorted(statuses))
    assert members_from_wire(bodies) == expected
    assert members_from_wire(reversed(bodies)) == expected
