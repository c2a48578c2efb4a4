"""Staging and importing: from what was staged, and from the web."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lab import Region, images
from tests.support.glance import Json, Place, RefusedError, some_data
from tests.support.uploads import Upload
from tests.support.waiting import eventually
from tests.support.websites import Website

BINARY = "application/octet-stream"
DATA = some_data(1, 5 * 2**20 + 12345)


@pytest.fixture(scope="module")
def site() -> Iterator[Website]:
    with Website() as made:
        yield made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, site: Website) -> Iterator[Place]:
    """Give a region that fetches from the site."""
    with Region(tmp_path_factory.mktemp("region"), settings=fetching(site)) as server:
        yield Place(server.url)


def fetching(site: Website) -> dict[str, Any]:
    """Give the settings of a region whose users may fetch from the site."""
    return {
        "web_download": {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]},
        "import_methods": ["glance-direct", "web-download", "copy-image", "glance-download"],
        "limits": {"image_size_cap": "8MiB"},
    }


def stage(place: Place, image: str, data: bytes | Path = DATA) -> None:
    place.request("PUT", f"/v2/images/{image}/stage", data, BINARY)


def begin(place: Place, image: str, method: str = "glance-direct", **more: object) -> None:
    """Begin an import; what begins with `glance` or is called `uri` is of the method."""
    of_method = {key: more.pop(key) for key in list(more) if key.startswith(("glance", "uri"))}
    body = {"method": {"name": method, **of_method}, **more}
    assert place.call("POST", f"/v2/images/{image}/import", body) is None


def tasks(place: Place, image: str) -> list[Json]:
    found: list[Json] = place.call("GET", f"/v2/images/{image}/tasks")["tasks"]
    return found


def end_of(place: Place, image: str) -> Json:
    """Wait for the end of an image's latest task, and give it."""
    eventually(lambda: tasks(place, image)[-1]["status"] in ("success", "failure"))
    return tasks(place, image)[-1]


def test_what_is_staged_is_seen_once_it_is_imported(place: Place) -> None:
    image = place.put("staged", None)
    stage(place, image)
    shown = place.show(image)
    assert (shown["status"], shown["size"]) == ("uploading", len(DATA))
    assert (shown["checksum"], shown["os_hash_value"], shown.get("stores")) == (None, None, None)
    assert place.data(image) == b""
    for call in (
        lambda: place.upload(image, b""),
        lambda: stage(place, image, b""),
        lambda: place.call("POST", f"/v2/images/{image}/actions/clone", {}),
        lambda: begin(place, image, "web-download", uri="http://127.0.0.1/"),
        lambda: begin(place, image, "copy-image"),
    ):
        with pytest.raises(RefusedError, match="409"):
            call()
    begin(place, image)
    ended = end_of(place, image)
    assert (ended["status"], ended["result"]) == ("success", {"image_id": image})
    full = place.show(place.put("full", DATA))
    shown = place.show(image)
    same = ("status", "size", "virtual_size", "checksum", "os_hash_value", "stores")
    assert [shown[key] for key in same] == [full[key] for key in same]
    assert shown["os_glance_importing_to_stores"] == shown["os_glance_failed_import"] == ""
    assert "os_glance_import_task" not in shown
    assert place.data(image) == DATA
    clone = place.call("POST", f"/v2/images/{image}/actions/clone", {"name": "clone"})["id"]
    assert place.data(clone) == DATA


def test_an_image_is_given_what_the_web_has(place: Place, site: Website) -> None:
    gate = threading.Event()
    url = site.put("/image", DATA, gate=gate)
    image = place.put("web", None)
    begin(place, image, "web-download", uri=url)
    shown = place.show(image)
    [task] = tasks(place, image)
    assert shown["status"] == "importing"
    assert shown["os_glance_import_task"] == task["id"]
    assert shown["os_glance_importing_to_stores"] == "chunks"
    assert shown["os_glance_failed_import"] == ""
    eventually(lambda: tasks(place, image)[0]["status"] == "processing")
    with pytest.raises(RefusedError, match="'queued' state"):
        begin(place, image, "web-download", uri=url)
    with pytest.raises(RefusedError, match="403"):
        place.change(image, disk_format="qcow2")
    place.change(image, name="new", os_type="linux")
    gate.set()
    ended = end_of(place, image)
    assert (ended["status"], ended["message"]) == ("success", "Copied 5 MiB")
    assert ended["expires_at"] > ended["updated_at"]
    shown = place.show(image)
    assert (shown["status"], shown["name"], shown["os_type"]) == ("active", "new", "linux")
    assert place.data(image) == DATA
    with pytest.raises(RefusedError, match="status active cannot be target"):
        begin(place, image, "web-download", uri=url)


def test_a_source_that_sends_elsewhere(place: Place, site: Website) -> None:
    site.put("/there", DATA)
    url = site.put("/here", status=302, headers={"Location": "/there"})
    image = place.put("sent", None)
    begin(place, image, "web-download", uri=url)
    assert end_of(place, image)["status"] == "success"
    assert place.data(image) == DATA
    evil = site.put("/evil", status=302, headers={"Location": f"http://[::1]:{site.port}/there"})
    image = place.put("evil", None)
    begin(place, image, "web-download", uri=evil)
    assert "Redirect to disallowed URL" in end_of(place, image)["message"]
    assert place.show(image)["status"] == "queued"


def test_what_the_web_has_is_not_always_an_image(place: Place, site: Website) -> None:
    large = some_data(3, 8 * 2**20 + 1)
    for path, page, message in (
        ("/none", {"status": 404}, "404 Not Found"),
        ("/cut", {"data": DATA, "headers": {"Content-Length": "8000000"}}, "connection broke"),
        ("/announced", {"data": DATA, "headers": {"Content-Length": "9000000"}}, "too large"),
        ("/large", {"data": large}, "too large"),
        ("/endless", {"data": large, "headers": {"Content-Length": ""}}, "too large"),
        ("/raw", {"data": DATA}, "does not match stream data raw"),
    ):
        url = site.put(path, **page)
        image = place.put(path, None, disk_format="qcow2" if path == "/raw" else "raw")
        begin(place, image, "web-download", uri=url)
        ended = end_of(place, image)
        assert (ended["status"], ended["result"]) == ("failure", None)
        assert message in ended["message"]
        shown = place.show(image)
        assert (shown["status"], shown["size"]) == ("queued", None)
        assert shown["os_glance_importing_to_stores"] == ""
        assert shown["os_glance_failed_import"] == "chunks"
        assert "os_glance_import_task" not in shown
        good = site.put("/good", DATA)
        place.change(image, disk_format="raw")
        begin(place, image, "web-download", uri=good)
        assert end_of(place, image)["status"] == "success"
        assert place.show(image)["os_glance_failed_import"] == ""
        assert place.data(image) == DATA


def test_what_is_staged_is_inspected_when_it_is_imported(place: Place, tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    images.qemu_img("create", "-q", "-f", "qcow2", str(disk), "7M")
    good = place.put("good", None, disk_format="qcow2")
    stage(place, good, disk)
    begin(place, good)
    assert end_of(place, good)["status"] == "success"
    assert place.show(good)["virtual_size"] == 7 * 2**20
    backing = ("-b", "/etc/passwd", "-F", "raw")
    images.qemu_img("create", "-q", "-u", "-f", "qcow2", *backing, str(disk), "1M")
    bad = place.put("bad", None, disk_format="qcow2")
    stage(place, bad, disk)
    begin(place, bad)
    assert end_of(place, bad)["message"] == "Image failed safety checks"
    assert place.show(bad)["status"] == "queued"
    assert place.data(bad) == b""


def test_an_image_that_is_deleted_while_it_is_imported(place: Place, site: Website) -> None:
    gate = threading.Event()
    image = place.put("deleted", None)
    begin(place, image, "web-download", uri=site.put("/slow", DATA, gate=gate))
    [task] = tasks(place, image)
    place.delete(image)
    gate.set()
    path = f"/v2/tasks/{task['id']}"
    eventually(lambda: place.call("GET", path)["status"] == "failure")
    assert place.call("GET", path)["message"] == "Image has been deleted, aborting import."
    assert not place.has(image)
    staged = place.put("staged", None)
    stage(place, staged)
    place.delete(staged)
    assert not place.has(staged)


def test_a_stage_that_ends_early_is_none(place: Place) -> None:
    image = place.put("cut", None)
    with Upload(place, image, len(DATA), to="stage") as upload:
        upload.send(DATA[:1000])
        place.wait_for(image, "uploading")
        with pytest.raises(RefusedError, match="needs to be staged"):
            begin(place, image)
    place.wait_for(image, "queued")
    with Upload(place, image, len(DATA), to="stage") as upload:
        upload.send(DATA[:1000])
        place.wait_for(image, "uploading")
        place.delete(image)
        upload.send(DATA[1000:])
        assert upload.status() == 404


def test_more_is_staged_than_an_image_may_be(place: Place) -> None:
    image = place.put("large", None)
    with pytest.raises(RefusedError, match="413"):
        stage(place, image, some_data(3, 8 * 2**20 + 1))
    assert place.show(image)["status"] == "queued"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ([], 400, "requires a 'method' field"),
        ({}, 400, "requires a 'method' field"),
        ({"method": {}}, 400, "requires a 'name' field"),
        ({"method": "web-download"}, 400, "requires a 'name' field"),
        ({"method": {"name": "x"}}, 400, "Unknown import method name 'x'."),
        ({"all_stores": "yes"}, 400, "'all_stores' must be boolean value only"),
        ({"all_stores_must_succeed": 1}, 400, "'all_stores_must_succeed' must be boolean"),
        ({"stores": ["tape"]}, 409, "Store for identifier tape not found"),
        ({"stores": 5}, 400, "'stores' has to be a list"),
        ({"stores": ["chunks"], "all_stores": True}, 400, "can't be used with"),
        ({"method": {"name": "web-download"}}, 400, "does not pass filtering: None"),
        ({"method": {"name": "web-download", "uri": "file:///etc/passwd"}}, 400, "filtering"),
        ({"method": {"name": "web-download", "uri": "http://localhost/"}}, 400, "filtering"),
        ({"method": {"name": "web-download", "uri": "http://127.0.0.1:1/"}}, 400, "filtering"),
        ({"method": {"name": "glance-direct"}}, 409, "needs to be staged"),
        ({"method": {"name": "copy-image"}}, 409, "Only images with status active"),
        ({"method": {"name": "glance-download"}}, 400, "'glance_region' needs to be set"),
        (
            {"method": {"name": "glance-download", "glance_region": "r"}},
            400,
            "'glance_image_id' needs to be set",
        ),
        (
            {"method": {"name": "glance-download", "glance_region": "r", "glance_image_id": "x"}},
            400,
            "does not look like a UUID: x",
        ),
    ],
)
def test_imports_that_are_refused(place: Place, body: Any, status: int, words: str) -> None:
    image = place.put("refused", None)
    if isinstance(body, dict) and body.keys() & {"all_stores", "all_stores_must_succeed", "stores"}:
        body = {"method": {"name": "glance-download", **OTHER}, **body}
    with pytest.raises(RefusedError) as caught:
        place.call("POST", f"/v2/images/{image}/import", body)
    assert caught.value.status == status
    assert words in str(caught.value)
    assert tasks(place, image) == []
    assert place.show(image)["status"] == "queued"


OTHER = {"glance_region": "r", "glance_image_id": "0c0b1d8a-1b1e-4d5e-8d0c-0e6f2a3b4c5d"}


def test_an_import_without_a_region_to_import_from(place: Place) -> None:
    image = place.put("nowhere", None)
    begin(place, image, "glance-download", **OTHER)
    ended = end_of(place, image)
    assert ended["message"] == "public glance endpoint not found for region r"


def test_formats_are_needed_before_an_import(place: Place) -> None:
    body = {"method": {"name": "web-download", "uri": "x"}}
    for name in ("container_format", "disk_format"):
        image = place.put("without", None, **{name: None})
        with pytest.raises(
            RefusedError, match=f"409(?s:.*){name}(?s:.*)needs to be set before import"
        ):
            place.call("POST", f"/v2/images/{image}/import", body)
    with pytest.raises(RefusedError, match="404"):
        place.call("POST", f"/v2/images/{OTHER['glance_image_id']}/import", body)


def test_a_copy_where_there_is_one_store(place: Place) -> None:
    image = place.put("copied", b"data")
    with pytest.raises(RefusedError, match=r"400(?s:.*)already present at store"):
        begin(place, image, "copy-image")
    begin(place, image, "copy-image", all_stores=True)
    assert tasks(place, image) == []


def test_stores_are_told_and_named(place: Place) -> None:
    assert place.call("GET", "/v2/info/import")["import-methods"]["value"] == [
        *("glance-direct", "web-download", "copy-image", "glance-download")
    ]
    store = {"id": "chunks", "default": "true"}
    assert place.call("GET", "/v2/info/stores") == {"stores": [store]}
    [detail] = place.call("GET", "/v2/info/stores/detail")["stores"]
    assert detail == {**store, "type": "chunks", "weight": 0, "properties": {}}
    image = place.put("image", b"data")
    queued = place.put("queued", None)
    for path, status in (
        (f"chunks/{image}", 403),
        (f"chunks/{queued}", 409),
        (f"tape/{image}", 409),
        (f"chunks/{OTHER['glance_image_id']}", 404),
    ):
        with pytest.raises(RefusedError) as caught:
            place.request("DELETE", f"/v2/stores/{path}")
        assert caught.value.status == status
    assert place.data(image) == b"data"


def test_a_store_can_be_named_in_a_header(place: Place, site: Website) -> None:
    image = place.put("named", None)
    url = f"/v2/images/{image}"
    body = json.dumps({"method": {"name": "web-download", "uri": site.put("/named", DATA)}})
    twice = json.dumps({**json.loads(body), "stores": ["chunks"]})

    def put(store: str) -> int:
        return _answer(place, "PUT", f"{url}/file", "data", store=store, kind=BINARY)

    def post(store: str, body: str) -> int:
        return _answer(place, "POST", f"{url}/import", body, store=store)

    assert put("tape") == 400
    assert post("tape", body) == 409
    assert post("chunks", twice) == 400
    assert post("chunks", body) == 202
    assert end_of(place, image)["status"] == "success"
    url = f"/v2/images/{place.put('other', None)}"
    assert put("chunks") == 204


def test_sources_that_give_nothing_hold_nobody_up(place: Place, site: Website) -> None:
    gate = threading.Event()
    slow = site.put("/turns", DATA, gate=gate)
    waiting = [place.put(f"waiting {number}", None) for number in range(20)]
    for image in waiting:
        begin(place, image, "web-download", uri=slow)
    eventually(lambda: [path for path, _ in site.asked].count("/turns") == len(waiting))
    fetched, staged = place.put("fetched", None), place.put("staged", None)
    begin(place, fetched, "web-download", uri=site.put("/quick", DATA))
    stage(place, staged)
    begin(place, staged)
    assert {end_of(place, image)["status"] for image in (fetched, staged)} == {"success"}
    assert {tasks(place, image)[0]["status"] for image in waiting} == {"processing"}
    gate.set()
    assert {end_of(place, image)["status"] for image in waiting} == {"success"}


def test_methods_that_are_switched_off(tmp_path: Path) -> None:
    with Region(tmp_path / "region", settings={"import_methods": ["copy-image"]}) as server:
        place = Place(server.url)
        image = place.put("image", None)
        with pytest.raises(RefusedError, match=r"404(?s:.*)not available at this site"):
            stage(place, image)
        with pytest.raises(RefusedError, match=r"400(?s:.*)Unknown import method name"):
            begin(place, image)


def _answer(
    place: Place, method: str, path: str, body: str, *, store: str, kind: str = "application/json"
) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=120)) as line:
        line.request(method, path, body, {"x-image-meta-store": store, "Content-Type": kind})
        return line.getresponse().status
