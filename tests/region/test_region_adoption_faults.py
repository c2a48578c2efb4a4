"""A Glance that is slow, breaks off or lies, and regions that are killed while they adopt it."""

import http.client
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.region.adopting import Adopting, data_of
from tests.support.glance import Place, RefusedError, Service, some_data
from tests.support.proxy import FILE, Fault, Proxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.services

DATA = some_data(61, 24 * 2**20 + 5)
HALF = 16 * 2**20
PART = 1000
"""Bytes of which surely none waits for others to be gathered with."""


@pytest.fixture
def proxy(source: Service) -> Iterator[Proxy]:
    """Give what stands between the region and the Glance."""
    with Proxy(source.url) as between:
        yield between


@pytest.fixture
def region(proxy: Proxy, tmp_path: Path) -> Iterator[Adopting]:
    """Give a region that is to adopt the source; nothing is begun yet."""
    server = Adopting(tmp_path / "region", proxy.url)
    yield server
    server.stop()


def test_what_has_come_is_given_before_the_rest(
    source: Service, region: Adopting, proxy: Proxy
) -> None:
    image = source.put("large", DATA)
    region.adopt("start")
    proxy.fault(Fault("GET", FILE, cut_answer=HALF, hang=True))
    region.start()
    with closing(http.client.HTTPConnection("127.0.0.1", region.port, timeout=300)) as reader:
        reader.request("GET", f"/v2/images/{image}/file")
        response = reader.getresponse()
        assert response.status == 200
        assert response.read(PART) == DATA[:PART]
        proxy.wait_for("GET", FILE, hanging=True)
        assert response.read(PART) == DATA[PART : 2 * PART]
        assert len(proxy.of("GET", FILE)) == 1


def test_one_stream_however_many_readers(source: Service, region: Adopting, proxy: Proxy) -> None:
    image = source.put("large", DATA)
    region.adopt("start")
    waiting, go_on = os.pipe()
    proxy.fault(Fault("GET", FILE, at=HALF, before=lambda: os.read(waiting, 1), times=1))
    region.start()
    proxy.wait_for("GET", FILE, bytes_moved=1)
    with ThreadPoolExecutor(8) as readers:
        coming = [readers.submit(region.place.data, image) for _ in range(8)]
        ranged = [readers.submit(part, region.place, image, first) for first in (0, HALF + 1)]
        assert not any(one.done() for one in coming)
        os.write(go_on, b"x")
        assert all(one.result() == DATA for one in coming)
        assert [one.result() for one in ranged] == [DATA[:10], DATA[HALF + 1 : HALF + 11]]
    os.close(waiting)
    os.close(go_on)
    region.wait_until_filled()
    assert region.place.data(image) == DATA
    assert len(proxy.of("GET", FILE)) == 1


def part(place: Place, image: str, first: int) -> bytes:
    """Read ten bytes of an image."""
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=300)) as reader:
        asked = {"Range": f"bytes={first}-{first + 9}"}
        reader.request("GET", f"/v2/images/{image}/file", headers=asked)
        response = reader.getresponse()
        assert response.status == 206
        return response.read()


def test_readers_that_leave_hold_nobody_up(source: Service, region: Adopting, proxy: Proxy) -> None:
    slow = [source.put("slow", some_data(number, 4 * 2**20)) for number in range(20)]
    image = source.put("image", DATA)
    region.adopt("start")
    proxy.fault(Fault("GET", f"({'|'.join(slow)})/file$", rate=10_000))
    region.start()
    proxy.wait_for("GET", FILE, bytes_moved=1)  # for the filler, whose turn is at the small ones
    with ExitStack() as stack:
        for one in slow:
            reader = HTTPConnection("127.0.0.1", region.port, timeout=300)
            stack.callback(reader.close)
            reader.request("GET", f"/v2/images/{one}/file")
        eventually(lambda: sum(one.answered > 0 for one in proxy.of("GET", FILE)) >= 16)
    assert region.place.data(image) == DATA
    assert region.status()["Failed"] == 0


def test_a_connection_that_breaks_is_gone_on_with(
    source: Service, region: Adopting, proxy: Proxy
) -> None:
    image = source.put("large", DATA)
    region.adopt("start")
    proxy.fault(Fault("GET", FILE, cut_answer=HALF, times=1))
    region.start()
    assert region.place.data(image) == DATA
    first, second = proxy.of("GET", FILE)
    assert (first.offset, first.answered) == (0, HALF)
    assert second.offset > 0


def test_data_that_is_altered_on_its_way(source: Service, region: Adopting, proxy: Proxy) -> None:
    image = source.put("large", DATA)
    region.adopt("start")
    proxy.fault(Fault("GET", FILE, alter=HALF))
    region.start()
    with closing(http.client.HTTPConnection("127.0.0.1", region.port, timeout=300)) as reader:
        reader.request("GET", f"/v2/images/{image}/file")
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            reader.getresponse().read()
    eventually(lambda: region.status()["Failed"] == 1)
    proxy.fault()
    region.wait_until_filled()
    assert region.place.data(image) == DATA


@pytest.mark.parametrize("whole", [True, False])
def test_a_region_killed_while_it_fills(
    source: Service, proxy: Proxy, tmp_path: Path, *, whole: bool
) -> None:
    image, other = source.put("large", DATA), source.put("small", b"small")
    path = f"{image}/file$"
    region = Adopting(tmp_path / "region", proxy.url, settings={"workers": 2})
    region.adopt("start")
    proxy.fault(Fault("GET", path, cut_answer=HALF, hang=True))
    with region:
        proxy.wait_for("GET", path, hanging=True)
        if whole:
            region.kill()
            region.start()
        else:
            _kill_workers(region)
        proxy.fault()
        region.wait_until_filled()
        assert data_of(region.place) == {image: DATA, other: b"small"}
        region.finish()
        source.server.stop()
        assert region.place.data(image) == DATA


def _kill_workers(region: Adopting) -> None:
    found = subprocess.run(["pgrep", "-P", str(region.pid)], capture_output=True, check=True)
    for line in found.stdout.split():
        os.kill(int(line), signal.SIGKILL)


def test_data_that_is_not_here_has_no_location(
    source: Service, proxy: Proxy, tmp_path: Path
) -> None:
    image, bare = source.put("image", DATA), source.put("bare", DATA)
    source.sql(f"UPDATE images SET os_hash_algo = NULL, os_hash_value = NULL WHERE id = '{bare}'")
    shown = {"show_multiple_locations": True, "show_image_direct_url": True}
    region = Adopting(tmp_path / "region", proxy.url, settings=shown)
    region.adopt("start")
    waiting, go_on = os.pipe()
    proxy.fault(Fault("GET", FILE, before=lambda: os.read(waiting, 1)))
    with region:
        for one in (image, bare):
            assert region.place.show(one)["locations"] == []
        os.write(go_on, b"x" * 10)
        region.wait_until_filled()
        [location] = region.place.show(image)["locations"]
        assert location["url"].startswith("meltemi://")
        assert region.place.show(bare)["locations"] == []
        region.finish()
        assert region.place.show(bare)["locations"] == [location]
    os.close(waiting)
    os.close(go_on)


def test_an_answer_that_is_lost_is_found_out(
    source: Service, region: Adopting, proxy: Proxy
) -> None:
    """The change was made; whoever made it is told that it is not known."""
    image = source.put("before", None)
    region.adopt("start")
    region.start()
    proxy.fault(Fault("PATCH", image, cut_answer=-1, times=1))
    with pytest.raises(RefusedError, match="503"):
        region.place.change(image, name="after")
    assert region.place.show(image)["name"] == "after"


def test_a_rollback_while_it_fills(source: Service, region: Adopting, proxy: Proxy) -> None:
    image = source.put("large", DATA)
    region.adopt("start")
    proxy.fault(Fault("GET", FILE, cut_answer=HALF, hang=True))
    region.start()
    proxy.wait_for("GET", FILE, hanging=True)
    region.adopt("rollback")
    region.stop()
    proxy.fault()
    region.adopt("start")
    region.start()
    region.finish()
    assert region.place.data(image) == DATA
