"""Several API hosts of one region: one database and one object store, nothing else in common."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from uuid import uuid4

import pytest

from lab import Postgres, Radosgw, Region
from meltemi.catalogue.migrations import upgrade
from tests.support.glance import Place, some_data
from tests.support.ledger import Crowd, Ledger
from tests.support.uploads import Upload

DATA = some_data(71, 24 * 2**20)

Host = Callable[[], Region]


@pytest.fixture
def host(tmp_path: Path, postgres: Postgres, radosgw: Radosgw) -> Iterator[Host]:
    """Give a function that starts another host."""
    name = f"hosts-{uuid4().hex}"
    postgres.create_database(name)
    url = f"{postgres.url}/{name}"
    upgrade(url)
    store = {"store": f"{radosgw.bucket(name)}/images", "index": url}
    with ExitStack() as stack:

        def start() -> Region:
            folder = tmp_path / uuid4().hex
            server = Region(folder, settings={"workers": 2, "database": url, **store})
            server.environment |= radosgw.environment
            return stack.enter_context(server)

        yield start


def test_what_one_takes_in_the_other_has(host: Host) -> None:
    one, other = Place(host().url), Place(host().url)
    for here, there in ((one, other), (other, one)):
        image = here.put("image", DATA, tags=["t"])
        assert there.show(image)["tags"] == ["t"]
        for _ in range(3):  # the last of them from a copy that is this host's own
            assert there.data(image) == DATA
        there.change(image, name="renamed")
        assert here.show(image)["name"] == "renamed"
        with closing(HTTPConnection("127.0.0.1", there.port, timeout=120)) as slow:
            slow.request("GET", f"/v2/images/{image}/file")
            answer = slow.getresponse()
            first = answer.read(1000)
            here.delete(image)
            assert first + answer.read() == DATA
        assert not there.has(image)


def test_what_is_staged_at_one_is_imported_at_the_other(host: Host) -> None:
    one, other = Place(host().url), Place(host().url)
    image = one.put("image", None)
    one.request("PUT", f"/v2/images/{image}/stage", DATA, "application/octet-stream")
    other.call("POST", f"/v2/images/{image}/import", {"method": {"name": "glance-direct"}})
    one.wait_for(image, "active")
    assert one.data(image) == DATA


def test_when_one_is_killed_the_other_gives_back_what_it_was_at(host: Host) -> None:
    server = host()
    dying, living = Place(server.url), Place(host().url)
    kept = dying.put("kept", DATA)
    queued, staged = dying.put("queued", None), dying.put("staged", None)
    with (
        Upload(dying, queued, len(DATA)) as upload,
        Upload(dying, staged, len(DATA), to="stage") as staging,
    ):
        for sending in (upload, staging):
            sending.send(DATA[:-1])
        living.wait_for(queued, "saving")
        living.wait_for(staged, "uploading")
        server.kill()
    assert living.data(kept) == DATA
    for image in (queued, staged):
        living.wait_for(image, "queued")
        living.upload(image, DATA)
    server.start()
    for image in (kept, queued, staged):
        assert dying.data(image) == DATA


def test_crowds_at_both_while_hosts_and_workers_die(host: Host) -> None:
    servers, ledger = (host(), host()), Ledger()
    places = [Place(server.url) for server in servers]
    with Crowd(ledger, [*places, *places]) as crowd:
        for turn in range(4):
            crowd.waits_for(3, "upload")
            server = servers[turn % 2]
            if turn < 2:
                server.kill_a_worker(turn)
            else:
                server.kill()
                crowd.waits_for(3, "upload")
                server.start()
        crowd.waits_for(8, "upload")
    assert crowd.refusals.keys() <= {409}
    ledger.see(*places)
