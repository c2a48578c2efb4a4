"""Hot images of a running region: copied once they are read often, sent from the copy, given up."""

import hashlib
import http.client
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab import Authority, Region
from lab.process import listening
from tests.support.glance import Place, some_data

SIZE = 5 * 2**20 + 12345
DATA = some_data(21, SIZE)
BOUND = 2 * SIZE


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """Give a region with two workers and room for two hot images."""
    settings = {"workers": 2, "hot_images": BOUND}
    with Region(tmp_path / "region", settings=settings) as server:
        yield server


def copies(server: Region) -> dict[str, Path]:
    """Give the copies by the ids of the images that brought the data."""
    found = (server.folder / "data" / "hot" / "files").iterdir()
    return {path.name[:36]: path for path in found}


def heat(server: Region, place: Place, data: bytes) -> str:
    """Make a hot image."""
    image = place.put("hot", data)
    for _ in range(2):
        assert place.data(image) == data
    eventually(lambda: image in copies(server))
    return image


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def get(place: Place, image: str, asked: str = "") -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=300)) as connection:
        headers = {"Range": asked} if asked else {}
        connection.request("GET", f"/v2/images/{image}/file", headers=headers)
        answer = connection.getresponse()
        told = {key: value for key, value in answer.getheaders() if key not in VARYING}
        return answer.status, told, answer.read()


VARYING = {"Date", "x-openstack-request-id"}

RANGES = ("", "bytes=0-0", "bytes=5-9", "bytes=5242870-", "bytes=-7", "bytes=3-99999999")


def test_a_copy_is_answered_from_as_chunks_are(region: Region) -> None:
    place = Place(region.url)
    image = place.put("hot", DATA)
    place.data(image)
    cold = [get(place, image, asked) for asked in RANGES]
    eventually(lambda: image in copies(region))
    # Without its chunks, it can only come from the copy.
    (region.folder / "data" / "store" / "packs").rename(region.folder / "packs")
    for _ in range(4):
        assert [get(place, image, asked) for asked in RANGES] == cold
    assert cold[0][1]["Content-MD5"] == hashlib.md5(DATA).hexdigest()
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=300)) as connection:
        for _ in range(3):  # one connection goes on after what the kernel sent
            connection.request("GET", f"/v2/images/{image}/file")
            answer = connection.getresponse()
            assert answer.headers["x-openstack-request-id"]
            assert answer.read() == DATA


def test_parts_make_nothing_hot(region: Region) -> None:
    place = Place(region.url)
    image = place.put("parts", DATA)
    for _ in range(4):
        get(place, image, "bytes=1-")
    heat(region, place, b"another")
    assert image not in copies(region)


def test_clones_share_a_copy_and_the_last_takes_it_along(region: Region) -> None:
    place = Place(region.url)
    first = heat(region, place, DATA)
    clone = place.call("POST", f"/v2/images/{first}/actions/clone", {})["id"]
    assert place.data(clone) == DATA
    place.delete(first)
    assert place.data(clone) == DATA
    assert first in copies(region)
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=300)) as slow:
        slow.request("GET", f"/v2/images/{clone}/file")
        answer = slow.getresponse()
        begin = answer.read(1000)
        place.delete(clone)
        eventually(lambda: copies(region) == {})
        assert begin + answer.read() == DATA
    assert get(place, clone)[0] == 404


def test_who_may_not_have_data_does_not_get_it_from_a_copy(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("download_image: '!'\n")
    with Region(tmp_path / "region") as server:
        place = Place(server.url)
        image = heat(server, place, DATA)
        server.stop()
    settings = {"policy_file": str(policy)}
    with Region(tmp_path / "region", settings=settings) as server:
        assert get(Place(server.url), image)[0] == 403


def test_there_are_no_more_copies_than_the_bound_allows(region: Region) -> None:
    place = Place(region.url)
    old = heat(region, place, DATA)
    used = heat(region, place, some_data(22, SIZE))
    assert copies(region).keys() == {old, used}
    new = heat(region, place, some_data(23, SIZE))
    assert copies(region).keys() == {used, new}
    large = place.put("large", some_data(24, BOUND + 1))
    for _ in range(3):
        place.data(large)
    heat(region, place, b"small")
    assert large not in copies(region)


def test_a_damaged_copy_is_thrown_out(region: Region) -> None:
    place = Place(region.url)
    written, rotten = heat(region, place, DATA), heat(region, place, some_data(25, SIZE))
    damage(copies(region)[written])
    assert place.data(written) == DATA  # from chunks, and it is copied anew
    eventually(lambda: written in copies(region))
    assert copies(region)[written].read_bytes() == DATA
    region.stop()
    path = copies(region)[rotten]
    before = path.stat()
    damage(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (region.folder / "data" / "hot" / "checked").unlink()
    region.start()
    eventually(lambda: rotten not in copies(region))
    assert place.data(rotten) == some_data(25, SIZE)


def test_killed_while_a_copy_is_made(region: Region) -> None:
    place = Place(region.url)
    image = place.put("hot", DATA)
    for _ in range(3):
        place.data(image)
        place.data(image)
        region.kill()
        region.start()
        assert place.data(image) == DATA
        if path := copies(region).get(image):
            assert path.read_bytes() == DATA
            path.unlink()
    assert place.data(image) == DATA
    eventually(lambda: image in copies(region))
    eventually(lambda: not list((region.folder / "data" / "hot" / "drafts").iterdir()))


def test_without_room_there_are_no_copies(tmp_path: Path) -> None:
    with Region(tmp_path / "region", settings={"hot_images": 0}) as server:
        place = Place(server.url)
        image = place.put("cold", DATA)
        for _ in range(4):
            assert place.data(image) == DATA
        assert copies(server) == {}


def test_a_copy_is_sent_over_tls(tmp_path: Path) -> None:
    made = Authority(tmp_path / "tls").certificate()
    tls = {"certificate": str(made.pem), "key": str(made.pem)}
    server = Region(tmp_path / "region", settings={"tls": tls})
    try:
        server.start(wait=False)
        eventually(lambda: listening(server.port))
        place = Place(server.url, cafile=made.bundle)
        image = heat(server, place, DATA)
        (server.folder / "data" / "store" / "packs").rename(tmp_path / "packs")
        assert place.data(image) == DATA
    finally:
        server.stop()


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(SIZE // 2)
        file.write(b"damage")
