"""Regions that are killed, or told to stop, while they import."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from lab import Region
from tests.support.glance import Json, Place, RefusedError, some_data
from tests.support.uploads import Upload
from tests.support.waiting import eventually
from tests.support.websites import Website

BINARY = "application/octet-stream"
DATA = some_data(7, 3 * 2**20)


@pytest.fixture
def site() -> Iterator[Website]:
    with Website() as made:
        yield made


@pytest.fixture
def server(tmp_path: Path, site: Website) -> Iterator[Region]:
    rules = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]}
    settings = {"web_download": rules, "graceful": "2m"}
    with Region(tmp_path / "region", settings=settings) as made:
        yield made


def begin(place: Place, image: str, url: str | None = None) -> None:
    """Import from the web, or what was staged."""
    method = {"name": "web-download", "uri": url} if url else {"name": "glance-direct"}
    place.call("POST", f"/v2/images/{image}/import", {"method": method})


def task(place: Place, image: str) -> Json:
    """Give the latest task about an image."""
    latest: Json = place.call("GET", f"/v2/images/{image}/tasks")["tasks"][-1]
    return latest


def test_a_region_killed_while_it_stages_and_imports(server: Region, site: Website) -> None:
    place = Place(server.url)
    gate = threading.Event()
    slow = site.put("/slow", DATA, gate=gate)
    fetched, half, whole = (place.put(name, None) for name in ("fetched", "half", "whole"))
    place.request("PUT", f"/v2/images/{whole}/stage", DATA, BINARY)
    begin(place, fetched, slow)
    eventually(lambda: task(place, fetched)["status"] == "processing")
    with Upload(place, half, len(DATA), to="stage") as upload:
        upload.send(DATA[:-1])
        place.wait_for(half, "uploading")
        server.kill()
    gate.set()
    server.start()
    assert place.show(whole)["status"] == "uploading"
    eventually(lambda: {place.show(one)["status"] for one in (fetched, half)} == {"queued"})
    ended = task(place, fetched)
    assert (ended["status"], "Start it again" in ended["message"]) == ("failure", True)
    shown = place.show(fetched)
    assert shown["os_glance_failed_import"] == "chunks"
    assert "os_glance_import_task" not in shown
    place.request("PUT", f"/v2/images/{half}/stage", DATA, BINARY)
    begin(place, fetched, site.put("/fast", DATA))
    for image in (half, whole):
        begin(place, image)
    for image in (fetched, half, whole):
        eventually(lambda image=image: task(place, image)["status"] == "success")  # type: ignore[misc]
        assert place.data(image) == DATA


def test_a_worker_killed_while_several_import(tmp_path: Path, site: Website) -> None:
    rules = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]}
    chance, images = Random(7), []
    with Region(tmp_path / "region", settings={"workers": 2, "web_download": rules}) as server:
        place = Place(server.url)
        for turn in range(6):
            gate = threading.Event()
            urls = [site.put(f"/{turn}", DATA, gate=gate), site.put("/at-once", DATA)]
            for url in urls * 2:
                images.append(place.put("image", None))
                begin(place, images[-1], url)
            time.sleep(chance.uniform(0, 0.2))
            server.kill_a_worker(turn % 2)
            gate.set()
            eventually(lambda: len(server.workers) == 2)
        eventually(lambda: "importing" not in place.statuses().values())
        ended = [task(place, image)["status"] for image in images]
        assert set(ended) <= {"success", "failure"}
        for image, status in zip(images, ended, strict=True):
            done = status == "success"
            assert place.show(image)["status"] == ("active" if done else "queued")
            assert place.data(image) == (DATA if done else b"")


def test_told_to_stop_it_finishes_what_it_imports(server: Region, site: Website) -> None:
    place = Place(server.url)
    gate = threading.Event()
    image = place.put("slow", None)
    begin(place, image, site.put("/slow", DATA, gate=gate))
    server.ask_to_stop()
    eventually(lambda: not _answers(place))
    assert server.running
    gate.set()
    eventually(lambda: not server.running)
    server.start()
    assert place.data(image) == DATA
    assert task(place, image)["status"] == "success"


def test_what_takes_too_long_is_given_back_at_once(tmp_path: Path, site: Website) -> None:
    rules = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]}
    settings = {"web_download": rules, "graceful": "1s"}
    with Region(tmp_path / "region", settings=settings) as server:
        place = Place(server.url)
        slow = site.put("/slow", DATA, gate=threading.Event())
        images = [place.put(f"slow {number}", None) for number in range(10)]
        for image in images:
            begin(place, image, slow)
        server.ask_to_stop()
        eventually(lambda: not server.running)
        server.start()
        for image in images:
            assert place.show(image)["status"] == "queued"
            assert task(place, image)["status"] == "failure"


def _answers(place: Place) -> bool:
    try:
        place.images()
    except (OSError, RefusedError):
        return False
    return True
