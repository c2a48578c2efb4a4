"""Settings that are not those of a region which starts with nothing: each does what it says."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest

from lab import Region
from tests.support.glance import Place, RefusedError

PUBLIC = "https://images.example/prefix"
SETTINGS = {
    "public_endpoint": PUBLIC,
    "page": 2,
    "longest_page": 3,
    "hashing_algorithm": "sha256",
    "disk_formats": ["raw", "iso"],
    "container_formats": ["bare"],
    "limits": {"image_property_quota": 1, "image_tag_quota": 2, "image_member_quota": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Region(tmp_path_factory.mktemp("region"), settings=SETTINGS) as server:
        yield Place(server.url)


def test_pages(place: Place) -> None:
    made = {place.put("page", None) for _ in range(4)}
    lengths = {"": 2, "&limit=1": 1, "&limit=3": 3, "&limit=1000": 3}
    for limit, length in lengths.items():
        page = place.call("GET", f"/v2/images?name=page{limit}")
        assert len(page["images"]) == length
        rest = place.call("GET", page["next"])["images"]
        assert {one["id"] for one in (*page["images"], *rest)} <= made


def test_formats(place: Place) -> None:
    properties = place.call("GET", "/v2/schemas/image")["properties"]
    assert properties["disk_format"]["enum"] == [None, "raw", "iso"]
    assert properties["container_format"]["enum"] == [None, "bare"]
    assert place.put("disc", None, disk_format="iso")
    for wrong in ({"disk_format": "qcow2"}, {"container_format": "ovf"}):
        with pytest.raises(RefusedError, match="400"):
            place.put("wrong", None, **wrong)


def test_hashes(place: Place) -> None:
    shown = place.show(place.put("hashed", b"data"))
    hashes = ("sha256", hashlib.sha256(b"data").hexdigest())
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == hashes


def test_quotas(place: Place) -> None:
    image = place.put("full", None, visibility="shared", tags=["a", "b"], one="1")
    place.share(image, "project")
    for more in (
        lambda: place.change(image, two="2"),
        lambda: place.request("PUT", f"/v2/images/{image}/tags/c"),
        lambda: place.share(image, "another"),
        lambda: place.put("more", None, one="1", two="2"),
        lambda: place.put("more", None, tags=["a", "b", "c"]),
    ):
        with pytest.raises(RefusedError, match="413"):
            more()


def test_where_clients_are_sent(place: Place) -> None:
    versions = place.call("GET", "/versions")["versions"]
    assert {link["href"] for one in versions for link in one["links"]} == {f"{PUBLIC}/v2/"}
    with closing(HTTPConnection("127.0.0.1", place.port, timeout=120)) as connection:
        connection.request("POST", "/v2/images", "{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 201
        assert answer.headers["Location"].startswith(f"{PUBLIC}/v2/images/")
