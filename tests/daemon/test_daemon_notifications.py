"""A daemon that is told of changes looks at what has changed, at once, and at nothing else."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab import Glance, Postgres, RabbitMQ
from meltemi.daemon.state.records import Cause
from meltemi.model.placement import Observed
from tests.support.buses import notification, send, telling
from tests.support.daemon import Daemon
from tests.support.glance import Service, some_data
from tests.support.proxy import Proxy
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(scope="module")
def telling_glances(
    bus: RabbitMQ, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Service]]:
    """Give two Glances that tell the bus what they do; not emptied."""
    folder = tmp_path_factory.mktemp("telling")
    with ExitStack() as stack:
        places = []
        for name in ("from", "to"):
            server = Glance(folder / name, name=name, postgres=postgres, config=telling(bus))
            stack.callback(server.stop)
            places.append(Service(server.start(wait=False), postgres))
        for place in places:
            place.server.wait_ready()
        yield places


@pytest.fixture
def ends(telling_glances: list[Service]) -> list[Service]:
    """Give two empty Glances that tell the bus what they do."""
    for place in telling_glances:
        place.wipe()
    return telling_glances


def configuration(bus: RabbitMQ, source: str, target: str, **route: Any) -> dict[str, Any]:
    told = {"notifications": {"transport_url": bus.transport_url}}
    return {
        "version": 1,
        "libraries": {"s": {"url": source, **told}, "t": {"url": target, **told}},
        "routes": {"all": {"from": "s", "to": "t", "max_delete": 10, **route}},
    }


def heard(daemon: Daemon, times: int = 1) -> None:
    """Wait until both buses are heard, and nothing is left of the looks that this causes."""
    eventually(lambda: daemon.said.count("its message bus is heard") >= 2 * times)
    eventually(lambda: all(run.ended for run in daemon.runs()))


def test_what_happens_at_either_end_is_followed(
    bus: RabbitMQ, ends: list[Service], tmp_path: Path
) -> None:
    source, target = ends
    old = source.put("old", some_data(1), visibility="public")
    with Proxy(source.url) as front, Proxy(target.url) as back:
        settings = configuration(bus, front.url, back.url, on_source_deletion="delete")
        with Daemon(tmp_path, settings) as daemon:
            heard(daemon)
            eventually(lambda: daemon.statuses("t") == {"old": "ready"})
            listed = [
                len(proxy.of("GET", r"limit=\d+.*visibility=all$")) for proxy in (front, back)
            ]
            new = source.put("new", some_data(2), visibility="shared")
            eventually(lambda: daemon.statuses("t") == {"old": "ready", "new": "ready"})
            assert target.data(new) == some_data(2)
            source.change(old, name="renamed", os_version="12")
            eventually(lambda: target.show(old).get("os_version") == "12")
            target.delete(new)
            eventually(lambda: bool(target.find("new")))
            eventually(lambda: daemon.statuses("t") == {"renamed": "ready", "new": "ready"})
            source.delete(old)
            eventually(lambda: not target.has(old))
            eventually(lambda: daemon.statuses("t") == {"new": "ready"})
            # None of this took a listing.
            whole = [len(proxy.of("GET", r"limit=\d+.*visibility=all$")) for proxy in (front, back)]
            assert whole == listed
        narrow = [run for run in daemon.runs() if run.images is not None]
        assert {run.cause for run in narrow} == {Cause.EVENT}
    assert "guest:guest" not in daemon.said


def test_a_daemon_that_is_there_first_shuts_nobody_out(postgres: Postgres, tmp_path: Path) -> None:
    """What makes the exchange decides what it is; a Glance that finds another one is refused."""
    with RabbitMQ(tmp_path / "rabbitmq") as bus, ExitStack() as stack:
        server = Glance(tmp_path / "first", name="first", postgres=postgres, config=telling(bus))
        stack.callback(server.stop)
        source = Service(server.start(), postgres)
        settings = configuration(bus, source.url, str(tmp_path / "vault"))
        settings["libraries"]["t"] = {"path": str(tmp_path / "vault")}
        with Daemon(tmp_path, settings) as daemon:
            eventually(lambda: "its message bus is heard" in daemon.said)
            # The second can be known from nothing but what Glance tells.
            for name in ("first", "second"):
                source.put(name, some_data(1))
                eventually(lambda name=name: daemon.statuses("t").get(name) == "ready")  # type: ignore[misc]


def test_owners_choose_at_once_and_what_they_are_told_is_no_news(
    bus: RabbitMQ, ends: list[Service], tmp_path: Path
) -> None:
    source, target = ends
    settings = configuration(bus, source.url, target.url, choose={"projects": {"*": {}}})
    with Daemon(tmp_path, settings) as daemon:
        heard(daemon)
        image = source.put("mine", some_data(1), visibility="shared", meltemi_regions="t, mars")
        told = "t: ready; mars: unknown region"
        eventually(lambda: bool(source.show(image).get("meltemi_status") == told))
        eventually(lambda: "tells only what was written here" in daemon.said)
        source.change(image, remove=("meltemi_regions",))
        eventually(lambda: not target.has(image))
        eventually(lambda: "meltemi_status" not in source.show(image))
        eventually(lambda: all(run.ended for run in daemon.runs()))
        assert {run.cause for run in daemon.runs()} == {Cause.START, Cause.EVENT}
        # A copy and a removal; neither was followed by another one.
        assert sum(run.done for run in daemon.runs()) == 1
        assert [change.observed for change in daemon.changes()].count(Observed.QUEUED) == 1


def test_what_changes_while_its_data_is_on_its_way_is_seen_when_it_has_arrived(
    bus: RabbitMQ, ends: list[Service], tmp_path: Path
) -> None:
    source, target = ends
    settings = configuration(bus, source.url, target.url, bwlimit="2M")
    with Daemon(tmp_path, settings) as daemon:
        heard(daemon)
        image = source.put("large", some_data(1, 6 * 2**20), visibility="public")
        eventually(lambda: "large" in daemon.statuses("t"))
        source.change(image, os_version="13")
        eventually(lambda: target.has(image) and target.show(image).get("os_version") == "13")
        eventually(lambda: daemon.statuses("t") == {"large": "ready"})
    assert target.data(image) == some_data(1, 6 * 2**20)


def test_what_was_lost_while_the_bus_was_away_is_made_good(
    bus: RabbitMQ, ends: list[Service], tmp_path: Path
) -> None:
    source, target = ends
    with Daemon(tmp_path, configuration(bus, source.url, target.url)) as daemon:
        heard(daemon)
        bus.stop()
        source.put("unheard", some_data(1), visibility="public")
        bus.start()
        eventually(lambda: daemon.statuses("t") == {"unheard": "ready"})
        source.put("heard", some_data(2), visibility="public")
        eventually(lambda: daemon.statuses("t") == {"unheard": "ready", "heard": "ready"})
        bus.stop()
        assert daemon.stop() == 0
    bus.start()


def test_what_is_told_often_or_to_a_daemon_that_dies_is_done_once(
    bus: RabbitMQ, ends: list[Service], tmp_path: Path
) -> None:
    source, target = ends
    daemon = Daemon(tmp_path, configuration(bus, source.url, target.url)).start()
    heard(daemon)
    daemon.kill()
    image = source.put("told often", some_data(1), visibility="public")
    send(bus, *[notification("image.activate", {"id": image})] * 50)
    with daemon:
        send(bus, *[notification("image.update", {"id": image}) for _ in range(300)])
        eventually(lambda: daemon.statuses("t") == {"told often": "ready"})
        heard(daemon, 2)
        send(bus, notification("image.delete", {"id": "nothing"}))
        assert [one["id"] for one in target.images()] == [image]
    # Each of them, one by one, would have been a run.
    assert len(daemon.runs()) < 50
