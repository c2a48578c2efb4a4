"""The cache API of a running region: what is copied, what is to be, and what is taken away."""

import http.client
import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import Region, venvs
from meltemi.region.data.hot_files import HotFiles
from tests.support.glance import Json, Place, RefusedError, some_data
from tests.support.waiting import eventually

DATA = some_data(31, 2**20 + 7)
BOUND = 4 * 2**20


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """Give a region with two workers and little room for copies."""
    settings = {"workers": 2, "hot_images": BOUND}
    with Region(tmp_path / "region", settings=settings) as server:
        yield server


@pytest.fixture
def place(region: Region) -> Place:
    return Place(region.url)


def state(place: Place) -> Json:
    found: Json = place.call("GET", "/v2/cache")
    return found


def cached(place: Place) -> list[str]:
    return [one["image_id"] for one in state(place)["cached_images"]]


def queued(place: Place) -> list[str]:
    found: list[str] = state(place)["queued_images"]
    return found


def copy(place: Place, image: str) -> None:
    """Have an image copied, and wait until it is."""
    place.call("PUT", f"/v2/cache/{image}")
    eventually(lambda: image in cached(place))


def clear(place: Place, target: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=120)) as line:
        line.request("DELETE", "/v2/cache", headers={"x-image-cache-clear-target": target})
        return line.getresponse().status


def test_every_worker_tells_the_same(place: Place) -> None:
    assert state(place) == {"cached_images": [], "queued_images": []}
    image = place.put("image", DATA)
    before = time.time()
    copy(place, image)
    for _ in range(20):  # over new connections, which either worker takes
        assert place.data(image) == DATA
    told = [state(place) for _ in range(20)]
    assert told == [told[0]] * 20
    [one] = told[0]["cached_images"]
    assert (one["image_id"], one["hits"], one["size"]) == (image, 20, len(DATA))
    assert before <= one["last_modified"] <= one["last_accessed"] <= time.time()
    place.call("PUT", f"/v2/cache/{image}")
    assert state(place) == told[0]


def test_what_is_often_read_is_told_of_as_well(place: Place) -> None:
    image = place.put("image", DATA)
    place.data(image)
    assert state(place) == {"cached_images": [], "queued_images": []}
    place.data(image)
    eventually(lambda: cached(place) == [image])
    assert state(place)["cached_images"][0]["hits"] == 0


def test_images_that_share_data_share_a_copy(place: Place) -> None:
    image = place.put("image", DATA)
    clone = place.call("POST", f"/v2/images/{image}/actions/clone", {})["id"]
    copy(place, clone)
    assert cached(place) == sorted([image, clone])
    place.delete(image)
    assert cached(place) == [clone]
    assert place.data(clone) == DATA
    place.call("DELETE", f"/v2/cache/{clone}")
    assert cached(place) == []
    assert place.data(clone) == DATA
    copy(place, clone)
    place.delete(clone)
    assert cached(place) == []


@contextmanager
def busy(region: Region, *images: str) -> Iterator[None]:
    """Be at work on copies of images, as a process would be, and never come to an end."""
    files = HotFiles(region.folder / "data" / "hot", BOUND)
    database = sqlite3.connect(region.folder / "data" / "catalogue.sqlite")
    with closing(database), ExitStack() as stack:
        for image in images:
            [(content,)] = database.execute("SELECT content FROM images WHERE id = ?", (image,))
            assert stack.enter_context(files.draft(content, 1))
        yield


def test_what_cannot_be_copied_now_waits(region: Region, place: Place) -> None:
    images = [place.put(f"image {number}", some_data(40 + number)) for number in range(3)]
    with busy(region, *images):
        for image in images:
            place.call("PUT", f"/v2/cache/{image}")
        assert (cached(place), queued(place)) == ([], images)
        place.call("DELETE", f"/v2/cache/{images[1]}")
        assert queued(place) == [images[0], images[2]]
        assert clear(place, "cache") == 204
        assert queued(place) == [images[0], images[2]]
        region.kill()
    region.start()
    eventually(lambda: cached(place) == sorted([images[0], images[2]]))
    eventually(lambda: queued(place) == [])


def test_the_queue_and_the_cache_are_cleared_apart(region: Region, place: Place) -> None:
    image, other = (place.put("image", some_data(number)) for number in (50, 51))
    copy(place, image)
    with busy(region, other):
        place.call("PUT", f"/v2/cache/{other}")
        assert (cached(place), queued(place)) == ([image], [other])
        assert clear(place, "queue") == 204
        assert (cached(place), queued(place)) == ([image], [])
        place.call("PUT", f"/v2/cache/{other}")
        assert clear(place, "cache") == 204
        assert (cached(place), queued(place)) == ([], [other])
        assert clear(place, "everything") == 400
        assert clear(place, "") == 204
        assert state(place) == {"cached_images": [], "queued_images": []}


def test_one_that_is_too_large_is_not_copied(place: Place) -> None:
    small = place.put("small", DATA)
    copy(place, small)
    large = place.put("large", some_data(32, BOUND + 1))
    place.call("PUT", f"/v2/cache/{large}")
    eventually(lambda: queued(place) == [])
    assert cached(place) == [small]


def test_only_images_with_data_are_copied(place: Place) -> None:
    empty = place.put("empty", None)
    with pytest.raises(RefusedError, match="Only images with status active"):
        place.call("PUT", f"/v2/cache/{empty}")
    place.call("DELETE", f"/v2/cache/{empty}")
    for method in ("PUT", "DELETE"):
        with pytest.raises(RefusedError, match=r"404(?s:.*)Image x not found"):
            place.call(method, "/v2/cache/x")


def test_the_api_of_old(place: Place) -> None:
    image = place.put("image", DATA)
    place.call("PUT", f"/v2/queued_images/{image}")
    eventually(lambda: cached(place) == [image])
    told = state(place)
    assert place.call("GET", "/v2/cached_images") == {"cached_images": told["cached_images"]}
    assert place.call("GET", "/v2/queued_images") == {"queued_images": []}
    assert place.call("DELETE", "/v2/queued_images") == {"num_deleted": 0}
    assert place.call("DELETE", "/v2/cached_images") == {"num_deleted": 1}
    assert cached(place) == []
    copy(place, image)
    place.call("DELETE", f"/v2/cached_images/{image}")
    assert cached(place) == []


def test_what_is_too_much_is_pruned(region: Region, place: Place) -> None:
    image = place.put("image", DATA)
    copy(place, image)
    assert place.call("POST", "/v2/cache/prune") == {
        "total_files_pruned": 0,
        "total_bytes_pruned": 0,
    }
    left = region.folder / "data" / "hot" / "drafts" / "left"
    left.touch()
    assert place.request("POST", "/v2/cache/clean") == b""
    assert not left.exists()
    assert cached(place) == [image]


def test_without_room_there_is_no_cache(tmp_path: Path) -> None:
    with Region(tmp_path / "region", settings={"hot_images": 0}) as server:
        place = Place(server.url)
        image = place.put("image", DATA)
        for method, path in (
            ("GET", "/v2/cache"),
            ("DELETE", "/v2/cache"),
            ("PUT", f"/v2/cache/{image}"),
            ("DELETE", f"/v2/cache/{image}"),
            ("GET", f"/v2/cache/nodes/{image}"),
            ("POST", "/v2/cache/clean"),
            ("POST", "/v2/cache/prune"),
        ):
            with pytest.raises(RefusedError, match=r"404(?s:.*)Caching via API is not supported"):
                place.call(method, path)
        with pytest.raises(RefusedError, match=r"404"):
            place.call("GET", "/v2/cached_images")
        assert current(place) == "v2.17"


def test_the_version_tells_of_the_cache(place: Place) -> None:
    assert current(place) == "v2.18"
    with pytest.raises(RefusedError, match=r"409(?s:.*)Centralized caching is not enabled"):
        place.call("GET", "/v2/cache/nodes/x")


def current(place: Place) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=120)) as line:
        line.request("GET", "/")
        told: Any = json.loads(line.getresponse().read())
    [found] = [one["id"] for one in told["versions"] if one["status"] == "CURRENT"]
    return str(found)


GLANCECLIENT = """
import json, sys, time
from glanceclient import Client

url, image = sys.argv[1:]
client = Client("2", url, token="none")
client.cache.queue(image)
while not (cached := client.cache.list()["cached_images"]):
    time.sleep(0.1)
client.cache.delete(image)
deleted = client.cache.list()["cached_images"]
client.cache.clear("cache")
client.cache.clear("")
print(json.dumps([[one["image_id"] for one in cached], deleted]))
"""


@pytest.mark.services
def test_python_glanceclient(place: Place) -> None:
    image = place.put("image", DATA)
    python = str(venvs.environment("glanceclient") / "bin" / "python")
    done = subprocess.run(
        [python, "-c", GLANCECLIENT, place.url, image], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[image], []]
