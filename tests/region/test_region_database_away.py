"""PostgreSQL that is stopped, killed or frozen under a region at work, and there again."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from lab import Postgres, Region
from meltemi.catalogue.migrations import upgrade
from tests.support.glance import Place, RefusedError, some_data
from tests.support.ledger import Crowd, Ledger
from tests.support.uploads import Upload
from tests.support.waiting import eventually
from tests.support.websites import Website

pytestmark = pytest.mark.services

DATA = some_data(51, 24 * 2**20)
"""More than what waits between a region and a client that does not read."""


@pytest.fixture
def database() -> Iterator[Postgres]:
    """Give a PostgreSQL of the test's own, which may be killed."""
    with Postgres(durable=True) as server:
        yield server


@pytest.fixture
def site() -> Iterator[Website]:
    with Website() as made:
        yield made


@pytest.fixture
def region(tmp_path: Path, database: Postgres, site: Website) -> Iterator[Region]:
    """Give a region with two workers that keeps everything but data in there."""
    database.create_database("region")
    url = f"{database.url}/region"
    upgrade(url)
    rules = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]}
    settings = {"workers": 2, "database": url, "index": url, "web_download": rules}
    with Region(tmp_path / "region", settings=settings) as server:
        yield server


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_crowd_goes_on_when_it_is_back(how: str, region: Region, database: Postgres) -> None:
    place, ledger, workers = Place(region.url), Ledger(), region.workers
    with Crowd(ledger, [place] * 4) as crowd:
        for _ in range(2):
            crowd.waits_for(4, "upload")
            database.stop() if how == "stopped" else database.kill()
            crowd.waits_for_refusals(8, 503)
            database.start()
        crowd.waits_for(8, "upload")
    assert crowd.refusals.keys() <= {503, 409}
    ledger.see(place)
    assert region.workers == workers


def test_what_was_under_way(region: Region, database: Postgres, site: Website) -> None:
    place = Place(region.url)
    kept, deleted, queued, staged, imported = (
        place.put(name, data)
        for name, data in (("kept", DATA), ("d", b"d"), ("q", None), ("s", None), ("i", None))
    )
    slow = HTTPConnection("127.0.0.1", place.port, timeout=120)
    with (
        Upload(place, queued, len(DATA)) as upload,
        Upload(place, staged, len(DATA), to="stage") as staging,
        closing(slow),
    ):
        upload.send(DATA[: 2**20])
        staging.send(DATA[: 2**20])
        place.wait_for(queued, "saving")
        place.wait_for(staged, "uploading")
        slow.request("GET", f"/v2/images/{kept}/file")
        answer = slow.getresponse()
        first = answer.read(1000)
        gate = threading.Event()
        method = {"name": "web-download", "uri": site.put("/data", DATA, gate=gate)}
        place.call("POST", f"/v2/images/{imported}/import", {"method": method})
        eventually(lambda: bool(site.asked))
        database.kill()
        refuses(place.images)
        refuses(lambda: place.put("new", None))
        refuses(lambda: place.change(kept, name="other"))
        refuses(lambda: place.delete(deleted))
        refuses(lambda: place.data(kept))
        gate.set()
        for one in (upload, staging):
            with suppress(ConnectionError):
                one.send(DATA[2**20 :])
            assert one.status() in (503, None)
        with suppress(HTTPException, OSError):
            assert first + answer.read() == DATA
    database.start()
    for image in (queued, staged, imported):
        place.wait_for(image, "queued")
        assert place.data(image) == b""
        place.upload(image, DATA)
    assert place.statuses() == dict.fromkeys((kept, deleted, queued, staged, imported), "active")
    for image in (kept, queued, staged, imported):
        assert place.data(image) == DATA


def test_a_crowd_goes_on_when_it_is_not_frozen_any_more(region: Region, database: Postgres) -> None:
    place, ledger, workers = Place(region.url), Ledger(), region.workers
    with Crowd(ledger, [place] * 4) as crowd:
        for _ in range(2):
            crowd.waits_for(4, "upload")
            database.pause()
            crowd.waits_for_refusals(6, 503)
            database.resume()
        crowd.waits_for(8, "upload")
    assert crowd.refusals.keys() <= {503, 409}
    ledger.see(place)
    assert region.workers == workers


def test_what_was_under_way_when_it_froze(region: Region, database: Postgres) -> None:
    place = Place(region.url)
    kept, queued = place.put("kept", DATA), place.put("queued", None)
    with Upload(place, queued, len(DATA)) as upload:
        upload.send(DATA[:-1])
        place.wait_for(queued, "saving")
        database.pause()
        refuses(place.images)
        refuses(lambda: place.put("new", None))
        refuses(lambda: place.data(kept))
        upload.send(DATA[-1:])
        assert upload.status() == 503
    with ThreadPoolExecutor(64) as many:  # more than there are threads for the database
        for refusal in [many.submit(refuses, place.images) for _ in range(64)]:
            refusal.result()
    database.resume()
    place.wait_for(queued, "queued")
    place.upload(queued, DATA)
    assert place.data(queued) == place.data(kept) == DATA
    assert "new" not in [image["name"] for image in place.images()]


def refuses(doing: Callable[[], object]) -> None:
    """See that something cannot be done at the moment."""
    with pytest.raises(RefusedError, match="503"):
        doing()
