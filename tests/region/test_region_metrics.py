"""What Prometheus reads from a region with several workers."""

import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from lab import Region, free_port
from tests.support.glance import Place, RefusedError, some_data
from tests.support.uploads import Upload

DATA = some_data(8, 2**20)


class Metered(Region):
    """A region with two workers that tells what it counts."""

    def __init__(self, folder: Path) -> None:
        self.metrics = free_port()
        super().__init__(folder, settings={"workers": 2, "metrics": {"port": self.metrics}})

    def text(self) -> str:
        url = f"http://127.0.0.1:{self.metrics}/metrics"
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return str(answer.read().decode())

    def counted(self) -> Mapping[str, float]:
        lines = (line.rpartition(" ") for line in self.text().splitlines() if line[0] != "#")
        return {name: float(value) for name, _, value in lines}

    def requests(self, method: str, route: str, status: int) -> float:
        labels = f'method="{method}",route="{route}",status="{status}"'
        return self.counted().get(f"meltemi_requests_total{{{labels}}}", 0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Metered]:
    with Metered(tmp_path / "region") as started:
        yield started


def test_requests_are_counted_over_all_workers_and_nobody_is_named(server: Metered) -> None:
    place = Place(server.url)
    image = place.put("a secret name", DATA, owner="1f2e3d", tags=["a secret tag"])
    for _ in range(20):  # each has a connection of its own, so that both workers get some
        assert place.data(image) == DATA
    for _ in range(3):
        with pytest.raises(RefusedError):
            place.show("another-secret")
    with pytest.raises(RefusedError):
        place.request("GET", "/v2.9/images/another/file")
    file = "/v2/images/{image_id}/file"
    assert server.requests("POST", "/v2/images", 201) == 1
    assert server.requests("PUT", file, 204) == 1
    _eventually(lambda: server.requests("GET", file, 200) == 20)  # counted once all is sent
    assert server.requests("GET", file, 404) == 1
    assert server.requests("GET", "/v2/images/{image_id}", 404) == 3
    counted = server.counted()
    labels = f'method="GET",route="{file}"'
    assert counted[f"meltemi_request_duration_seconds_count{{{labels}}}"] == 21
    assert counted[f"meltemi_request_duration_seconds_sum{{{labels}}}"] > 0
    json = 300  # bytes in which the other requests speak
    assert len(DATA) < counted["meltemi_received_bytes_total"] < len(DATA) + json
    assert 20 * len(DATA) < counted["meltemi_sent_bytes_total"] < 20 * len(DATA) + 30 * 2**10
    assert not re.search("secret|1f2e3d|" + image, server.text())


def test_what_strangers_choose_freely_makes_no_label(server: Metered) -> None:
    place = Place(server.url)
    probed = server.requests("GET", "other", 300)  # by whoever waited for its start
    for number in range(3):
        with pytest.raises(RefusedError):
            place.request("SEARCH", f"/v2/images/x/y/{number}")
        place.request("GET", f"/nothing/{number}")
    assert server.requests("other", "other", 404) == 3
    assert server.requests("GET", "other", 300) == probed + 3


def test_nobody_reads_them_where_images_are_served(server: Metered) -> None:
    assert list(Place(server.url).call("GET", "/metrics")) == ["versions"]
    with pytest.raises(RefusedError, match="404"):
        Place(f"http://127.0.0.1:{server.metrics}").images()


def test_what_a_killed_worker_did_stays_counted_and_what_it_was_doing_does_not(
    server: Metered,
) -> None:
    place = Place(server.url)
    queued = place.put("queued", None)
    with Upload(place, queued, len(DATA)) as upload:
        upload.send(DATA[:-1])
        place.wait_for(queued, "saving")
        assert server.counted()["meltemi_uploads_in_flight"] == 1
        before = server.counted()["meltemi_sent_bytes_total"]
        for worker in _workers(server):
            os.kill(worker, signal.SIGKILL)
        assert upload.status() is None
    _eventually(lambda: len(_workers(server)) == 2)
    _eventually(lambda: _queued_again(server) == 1)
    assert place.show(queued)["status"] == "queued"
    _eventually(lambda: server.counted()["meltemi_uploads_in_flight"] == 0)
    assert server.counted()["meltemi_sent_bytes_total"] > before


def test_a_region_that_starts_again_counts_anew(server: Metered) -> None:
    Place(server.url).put("counted", DATA)
    server.kill()
    server.start()
    assert server.requests("POST", "/v2/images", 201) == 0
    assert server.counted()["meltemi_received_bytes_total"] == 0


def _queued_again(server: Metered) -> float:
    try:
        return server.counted()["meltemi_images_queued_again_total"]
    except OSError:  # the workers are on their way
        return 0


def _workers(server: Region) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _eventually(condition: Callable[[], bool]) -> None:
    """Wait until something holds; who died at work counts as dead only after a while."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
