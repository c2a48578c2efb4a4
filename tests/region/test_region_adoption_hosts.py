"""Several hosts in front of one Glance, and a Glance of the oldest release."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from lab import Postgres
from lab.glance import OLD
from tests.region.adopting import Adopting, data_of, seen
from tests.support.cli import succeed
from tests.support.glance import RefusedError, Service, some_data
from tests.support.proxy import FILE, Fault, Proxy
from tests.support.services import Fresh

pytestmark = pytest.mark.services

DATA = some_data(71, 8 * 2**20)
HALF = len(DATA) // 2


@pytest.fixture
def proxy(source: Service) -> Iterator[Proxy]:
    """Give what stands between the region and the Glance."""
    with Proxy(source.url) as between:
        yield between


@pytest.fixture
def hosts(proxy: Proxy, postgres: Postgres, tmp_path: Path) -> Iterator[list[Adopting]]:
    """Give two hosts of one region; neither is started."""
    name = f"region-{uuid4().hex}"
    postgres.create_database(name)
    database = f"{postgres.url}/{name}"
    succeed("db", "upgrade", "--database", database)
    shared = {"database": database, "store": str(tmp_path / "store")}
    (tmp_path / "store").mkdir()
    with ExitStack() as stack:
        found = [
            Adopting(tmp_path / host, proxy.url, settings={**shared, "workers": 2})
            for host in ("one", "two")
        ]
        for server in found:
            stack.callback(server.stop)
        yield found


def test_two_hosts_do_it_together(source: Service, proxy: Proxy, hosts: list[Adopting]) -> None:
    one, two = hosts
    images = [source.put(f"image {number}", some_data(number)) for number in range(12)]
    one.adopt("start")
    one.start()
    two.start()
    made = one.place.put("made", DATA)
    assert two.place.show(made)["status"] == "active"
    two.place.change(images[0], name="renamed")
    assert one.place.show(images[0])["name"] == "renamed"
    one.place.delete(images[1])
    assert not two.place.has(images[1])
    two.wait_until_filled()
    for image in images[2:]:
        assert len(proxy.of("GET", f"{image}{FILE}")) == 1
    assert seen(one.place) == seen(two.place) == seen(source)
    assert data_of(one.place) == data_of(two.place)
    two.finish()
    for place in (one.place, two.place):
        own = place.put("own", b"own")
        assert not source.has(own)
        assert one.place.data(own) == two.place.data(own) == b"own"


def test_a_host_that_dies_is_replaced(source: Service, proxy: Proxy, hosts: list[Adopting]) -> None:
    one, two = hosts
    image = source.put("image", DATA)
    one.adopt("start")
    proxy.fault(Fault("GET", FILE, cut_answer=HALF, hang=True, times=1))
    one.start()
    proxy.wait_for("GET", FILE, hanging=True)
    two.start()
    assert two.place.data(image) == DATA  # also while the other one holds it
    one.kill()
    two.wait_until_filled()
    two.finish()
    source.server.stop()
    assert two.place.data(image) == DATA


def test_a_glance_of_the_oldest_release(fresh: Fresh, tmp_path: Path) -> None:
    glance = fresh("old", environment=OLD)
    public = glance.put("public", DATA, visibility="public")
    shared = glance.put("shared", some_data(3), visibility="shared", owner="a" * 32)
    glance.share(shared, "b" * 32, "accepted")
    hidden = glance.put("hidden", some_data(4), os_hidden=True)
    region = Adopting(tmp_path / "region", glance.url)
    region.adopt("start")
    with region:
        made = region.place.put("made", some_data(5))
        region.place.change(public, name="renamed")
        with pytest.raises(RefusedError, match="404"):
            region.place.show(str(uuid4()))
        expected = seen(glance)
        assert seen(region.place) == expected
        assert expected.keys() == {public, shared, hidden, made}
        region.finish()
        glance.server.stop()
        assert seen(region.place) == expected
        assert region.place.data(public) == DATA
