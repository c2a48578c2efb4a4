"""Images from a real Glance in another region, fetched with the user's token."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Cloud, Region
from lab.cloud import MEMBER, PROJECT
from tests.support.glance import Json, Place, RefusedError, Service, some_data
from tests.support.waiting import eventually
from tests.support.websites import Website

pytestmark = pytest.mark.services

DATA = some_data(11, 6 * 2**20 + 3)


@pytest.fixture(scope="module")
def token(cloud: Cloud) -> str:
    return cloud.keystone.token(MEMBER, cloud.keystone.password, PROJECT)


@pytest.fixture(scope="module")
def source(cloud: Cloud, token: str) -> Service:
    return Service(cloud.regions["RegionOne"], cloud.postgres, token=token)


def settings(cloud: Cloud, **more: Any) -> dict[str, Any]:
    """Give the settings of a region behind the cloud's Keystone."""
    auth = cloud.keystone.login()
    return {"keystone": {"auth": auth}, "import_methods": ["glance-download"], **more}


@pytest.fixture(scope="module")
def place(cloud: Cloud, token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Region(tmp_path_factory.mktemp("region"), settings=settings(cloud)) as server:
        yield Place(server.url, token=token)


def download(place: Place, image: str, other: str, **more: str) -> Json:
    """Import an image from RegionOne, and give the task when it has ended."""
    method = {"name": "glance-download", "glance_region": "regionONE", "glance_image_id": other}
    place.call("POST", f"/v2/images/{image}/import", {"method": {**method, **more}})

    def latest() -> Json:
        task: Json = place.call("GET", f"/v2/images/{image}/tasks")["tasks"][-1]
        return task

    eventually(lambda: latest()["status"] in ("success", "failure"))
    return latest()


def test_an_image_of_another_region(place: Place, source: Service) -> None:
    properties = {
        "os_distro": "debian",
        "os_version": "12",
        "hw_disk_bus": "scsi",
        "own": "x",
        "trait:CUSTOM_A": "required",
        "os_type": "linux",
    }
    other = source.put("other", DATA, disk_format="iso", container_format="ovf", **properties)
    image = place.put("image", None, own="mine", os_type="windows")
    task = download(place, image, other)
    assert (task["status"], task["message"]) == ("success", "Copied 6 MiB")
    assert task["input"]["import_req"]["method"]["glance_service_interface"] == "public"
    shown = place.show(image)
    assert (shown["status"], shown["name"], shown["own"]) == ("active", "image", "mine")
    assert (shown["disk_format"], shown["container_format"]) == ("iso", "ovf")
    carried = ("os_distro", "hw_disk_bus", "trait:CUSTOM_A", "os_type")
    assert {key: shown[key] for key in carried} == {key: properties[key] for key in carried}
    assert "os_version" not in shown
    assert shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert place.data(image) == DATA


def test_an_image_that_is_not_there_or_not_active(place: Place, source: Service) -> None:
    queued = source.put("queued", None)
    for other, message in (
        (queued, "Source image status should be active instead of queued"),
        ("0c0b1d8a-1b1e-4d5e-8d0c-0e6f2a3b4c5d", "404 Not Found"),
    ):
        image = place.put("image", None, os_distro="mine")
        task = download(place, image, other)
        assert (task["status"], message in task["message"]) == ("failure", True)
        shown = place.show(image)
        assert (shown["status"], shown["os_distro"]) == ("queued", "mine")
    task = download(place, image, queued, glance_region="Nowhere")
    assert task["message"] == "public glance endpoint not found for region Nowhere"
    task = download(place, image, queued, glance_service_interface="admin")
    assert task["message"] == "admin glance endpoint not found for region regionONE"


@pytest.mark.parametrize("what", ["os_hash_value", "checksum", "size"])
def test_data_that_is_not_what_the_other_region_says(
    place: Place, source: Service, what: str
) -> None:
    other = source.put("other", DATA)
    lies = {
        "os_hash_value": "os_hash_value = repeat('0', 128)",
        "checksum": "os_hash_algo = NULL, os_hash_value = NULL, checksum = repeat('0', 32)",
        "size": f"size = {len(DATA) + 1}",
    }
    source.sql(f"UPDATE images SET {lies[what]} WHERE id = '{other}'")
    image = place.put("image", None)
    task = download(place, image, other)
    assert task["status"] == "failure"
    assert place.show(image)["status"] == "queued"
    assert place.data(image) == b""


@pytest.mark.parametrize("sound", [True, False])
def test_another_hash_than_the_own(
    cloud: Cloud, source: Service, token: str, tmp_path: Path, *, sound: bool
) -> None:
    """The other region has sha512; this one has another, and computes both."""
    other = source.put("other", DATA)
    if not sound:
        source.sql(f"UPDATE images SET os_hash_value = repeat('0', 128) WHERE id = '{other}'")
    chosen = settings(cloud, hashing_algorithm="sha256")
    with Region(tmp_path / "region", settings=chosen) as server:
        place = Place(server.url, token=token)
        image = place.put("image", None)
        task = download(place, image, other)
        if sound:
            assert place.show(image)["os_hash_value"] == hashlib.sha256(DATA).hexdigest()
            assert place.data(image) == DATA
        else:
            assert "does not have the sha512 recorded for it" in task["message"]
            assert place.show(image)["status"] == "queued"


def test_tasks_are_for_administrators(place: Place, cloud: Cloud) -> None:
    image = place.put("image", None)
    for method, path in (("GET", "/v2/tasks"), ("POST", "/v2/tasks"), ("GET", "/v2/tasks/x")):
        with pytest.raises(RefusedError, match=r"403(?s:.*)tasks_api_access"):
            place.call(method, path, {})
    with pytest.raises(RefusedError, match="403"):
        place.call("GET", "/v2/info/stores/detail")
    keystone = cloud.keystone
    token = keystone.token(keystone.admin, keystone.password, "admin")
    admin = Place(place.url, token=token)
    assert len(admin.call("GET", "/v2/info/stores/detail")["stores"]) == 1
    task = download(place, image, image)
    assert admin.call("GET", f"/v2/tasks/{task['id']}")["user_id"] == task["user_id"]


def test_a_region_that_is_none(place: Place, cloud: Cloud) -> None:
    """What a catalogue names is asked with the user's token; nobody else gets that."""
    other = "0c0b1d8a-1b1e-4d5e-8d0c-0e6f2a3b4c5d"
    path = f"/v2/images/{other}"
    json = {"Content-Type": "application/json"}
    with Website() as site, Website() as thief:
        cloud.keystone.endpoint("image", "Odd", site.url)
        elsewhere = {"Location": thief.put(path, b"{}", headers=json)}
        for page, words in (
            ({"status": 302, "headers": elsewhere}, "302 Found"),
            ({"data": b"{", "headers": json}, "no image"),
            ({"data": b"[]", "headers": json}, "no image"),
            ({"data": b"{}", "headers": json}, "no image"),
            ({"data": b"x"}, "unexpected mimetype"),
        ):
            site.put(path, **page)
            task = download(place, place.put("image", None), other, glance_region="Odd")
            assert words in task["message"]
        assert {"X-Auth-Token"} <= dict(site.asked[0][1]).keys()
        assert thief.asked == []
