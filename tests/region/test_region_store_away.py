"""A store that fails under a region at work: it says so, and goes on by itself."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from uuid import uuid4

import pytest

from lab import LabError, Postgres, Radosgw, Region
from meltemi.catalogue.migrations import upgrade
from tests.support.glance import Place, RefusedError, some_data
from tests.support.ledger import Crowd, Ledger
from tests.support.proxy import Fault, Proxy

METHODS = ("GET", "PUT", "HEAD", "DELETE")
DATA = some_data(61, 300_000)
LARGE = some_data(62, 24 * 2**20)


@pytest.fixture
def proxy(radosgw: Radosgw) -> Iterator[Proxy]:
    """Give a proxy in front of an object store."""
    with Proxy(radosgw.url) as front:
        yield front


@pytest.fixture
def region(tmp_path: Path, postgres: Postgres, radosgw: Radosgw, proxy: Proxy) -> Iterator[Region]:
    """Give a region on PostgreSQL and on an object store behind the proxy."""
    name = f"region-{uuid4().hex}"
    postgres.create_database(name)
    url = f"{postgres.url}/{name}"
    upgrade(url)
    store = {"store": f"{radosgw.bucket(name)}/images", "index": url, "hot_images": 0}
    server = Region(tmp_path / "region", settings={"workers": 2, "database": url, **store})
    server.environment |= {**radosgw.environment, "AWS_ENDPOINT_URL": proxy.url}
    with server:
        yield server


def refusal(doing: Callable[[], object]) -> int:
    """Give the status with which something is refused."""
    with pytest.raises(RefusedError) as told:
        doing()
    return told.value.status


WRONG = {
    "errors": {"answer": 500},
    "silence": {"hang": True},
    "no rights": {"answer": 403, "body": "<Error><Code>AccessDenied</Code></Error>"},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_store_that_does_not_work(what: str, region: Region, proxy: Proxy) -> None:
    """Whatever it says: who asks the region has nothing to do with it, and may ask again."""
    place, ledger = Place(region.url), Ledger()
    kept, queued, deleted = (ledger.create(place, name) for name in ("kept", "queued", "deleted"))
    for image in (kept, deleted):
        ledger.upload(place, image, DATA)
    proxy.fault(*(Fault(method, "", **WRONG[what]) for method in METHODS))  # type: ignore[arg-type]
    with ThreadPoolExecutor() as pool:
        uploading = pool.submit(refusal, lambda: ledger.upload(place, queued, DATA + b"more"))
        reading = pool.submit(refusal, lambda: place.data(kept))
        deleting = pool.submit(ledger.delete, place, deleted)
        assert len(place.images()) in (2, 3)
        assert uploading.result() == reading.result() == 503
        deleting.result()
    assert place.show(queued)["status"] == "queued"
    proxy.fault()
    ledger.see(place)
    ledger.upload(place, queued, LARGE)
    ledger.see(place)


PASSING = {
    "errors": {"answer": 500},
    "overload": {"answer": 503},
    "cut requests": {"cut_body": 1000},
    "cut answers": {"cut_answer": 1000},
}


@pytest.mark.parametrize("what", PASSING)
def test_what_passes_is_not_noticed(what: str, region: Region, proxy: Proxy) -> None:
    place, ledger = Place(region.url), Ledger()
    image = ledger.create(place, "image")
    faults = [Fault(method, "", times=2, **PASSING[what]) for method in METHODS]  # type: ignore[arg-type]
    proxy.fault(*faults)
    ledger.upload(place, image, DATA)
    assert ledger.read(place, image) == DATA
    ledger.see(place)
    assert any(fault.times == 0 for fault in faults)


def test_a_store_that_fails_in_the_middle_of_an_image(region: Region, proxy: Proxy) -> None:
    place, ledger = Place(region.url), Ledger()
    image = ledger.create(place, "image")
    ledger.upload(place, image, LARGE)
    with closing(HTTPConnection("127.0.0.1", place.port, timeout=120)) as slow:
        slow.request("GET", f"/v2/images/{image}/file")
        answer = slow.getresponse()
        first = answer.read(1000)
        proxy.fault(Fault("GET", "", answer=500))
        with pytest.raises((HTTPException, OSError)):
            answer.read()
    assert first == LARGE[:1000]
    proxy.fault()
    ledger.see(place)


def test_a_store_that_is_away_for_a_while(region: Region, radosgw: Radosgw) -> None:
    place, ledger, workers = Place(region.url), Ledger(), region.workers
    with Crowd(ledger, [place] * 4) as crowd:
        for _ in range(2):
            crowd.waits_for(4, "upload")
            radosgw.gateway.kill()
            crowd.waits_for_refusals(3, 503)
            radosgw.gateway.start()
        crowd.waits_for(4, "upload")
    assert crowd.refusals.keys() <= {503, 409}
    ledger.see(place)
    assert region.workers == workers


def test_a_folder_that_vanishes(tmp_path: Path) -> None:
    """Nothing is stored where the store's disk was: it would be lost when that is back."""
    with Region(tmp_path / "region", settings={"workers": 2, "hot_images": 0}) as server:
        place, ledger = Place(server.url), Ledger()
        kept, queued, deleted = (ledger.create(place, name) for name in ("kept", "q", "deleted"))
        for image in (kept, deleted):
            ledger.upload(place, image, DATA)
        store = server.folder / "data" / "store"
        elsewhere = store.rename(store.with_name("elsewhere"))
        assert refusal(lambda: ledger.upload(place, queued, LARGE)) == 503
        assert refusal(lambda: place.data(kept)) == 503
        ledger.delete(place, deleted)
        assert not store.exists()
        assert "the store is not there" in server.log.read_text()
        server.stop()
        with pytest.raises(LabError, match=r"is its disk mounted\?"):
            server.start()
        assert not store.exists()
        elsewhere.rename(store)
        server.start()
        ledger.see(place)
        ledger.upload(place, queued, LARGE)
        ledger.see(place)
