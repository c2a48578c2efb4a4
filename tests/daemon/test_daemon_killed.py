"""Daemons that die: the next one completes what was left, and nothing is copied twice."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Connection, text

from lab import Postgres, images
from meltemi.daemon.state.state import State
from tests.daemon.words import configuration
from tests.support.daemon import Daemon
from tests.support.glance import Service
from tests.support.proxy import FILE, PATIENCE, Fault, Proxy
from tests.support.waiting import eventually

MIB = 2**20

ONE = r"images/[^/?]+$"
"""The path of an image's metadata."""

STAGES = {
    "before the target is read": Fault("GET", "images$", times=1),
    "before registering": Fault("POST", "images$", times=1),
    "registered": Fault("POST", "images$", times=1, cut_answer=0, hang=True),
    "before sending": Fault("PUT", FILE, times=1),
    "sending": Fault("PUT", FILE, times=1, cut_body=3 * MIB, hang=True),
    "sent": Fault("PUT", FILE, times=1, cut_answer=-1, hang=True),
    "verifying": Fault("GET", ONE, times=1, hang=True),
    "before publishing": Fault("PATCH", "", times=1),
    "published": Fault("PATCH", "", times=1, cut_answer=0, hang=True),
}
SHOWN = {"registered": "copying", "sending": "copying", "verifying": "verifying"}
"""What the state says of an image when the daemon dies."""


def test_killed_at_every_step_of_a_run(source: Service, target: Service, tmp_path: Path) -> None:
    made = {}
    direct = Daemon(tmp_path, configuration(source, target, schedule="1s"))
    for number, (step, fault) in enumerate(STAGES.items()):
        data = images.random_bytes(4 * MIB, number)
        made[source.put(step, data, visibility="public")] = data
        with Proxy(target.url) as proxy:
            proxy.fault(fault)
            with Daemon(tmp_path, configuration(source, proxy, schedule="1s")) as daemon:
                proxy.wait_for(fault.method, fault.path, hanging=fault.hang)
                eventually(lambda step=step: is_shown(daemon, step))  # type: ignore[misc]
                daemon.kill()
        see_nothing_half_made(target, made)
        direct.configure(configuration(source, target, schedule="1s"))
        with direct:
            eventually(lambda step=step: direct.statuses("t0").get(step) == "ready")  # type: ignore[misc]
    assert target.statuses() == dict.fromkeys(made, "active")
    assert {key: target.data(key) for key in made} == made
    assert target.sql("SELECT count(*) FROM images WHERE deleted") == "0"
    assert {p.observed for p in direct.placements()} == {"ready"}
    gone = next(iter(made))
    source.delete(gone)
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("DELETE", ONE, times=1, cut_answer=-1, hang=True))
        settings = configuration(source, proxy, schedule="1s", on_source_deletion="delete")
        with Daemon(tmp_path, settings) as daemon:
            proxy.wait_for("DELETE", ONE, hanging=True)
            daemon.kill()
    direct.configure(configuration(source, target, schedule="1s", on_source_deletion="delete"))
    with direct:
        eventually(lambda: sum(one.wanted for one in direct.placements()) == len(STAGES) - 1)
    assert set(target.statuses()) == made.keys() - {gone}
    assert all(run.ended for run in direct.runs()[1:])


def is_shown(daemon: Daemon, step: str) -> bool:
    """Say whether the state knows how far an image has come."""
    return daemon.statuses("t0").get(step, "").startswith(SHOWN.get(step, ""))


def see_nothing_half_made(target: Service, made: Mapping[str, bytes]) -> None:
    """See that whatever is active is whole, and that what is public is active."""
    for image in target.images():
        if image["status"] == "active":
            assert target.data(image["id"]) == made[image["id"]]
        else:
            assert image["visibility"] == "private"


@pytest.fixture
def database(postgres: Postgres, tmp_path: Path) -> str:
    """Give a PostgreSQL database of its own."""
    return made_in(postgres, tmp_path.name)


def made_in(postgres: Postgres, name: str) -> str:
    """Make an empty database; give its URL."""
    postgres.create_database(name)
    return f"{postgres.url}/{name}"


def test_another_daemon_takes_over_from_one_that_was_killed(
    source: Service, target: Service, tmp_path: Path, database: str
) -> None:
    with Proxy(target.url) as proxy:
        settings = configuration(source, proxy, schedule="1s", daemon={"database": database})
        one, two = (Daemon(tmp_path, settings, name) for name in ("one", "two"))
        data = images.random_bytes(8 * MIB, 1)
        first = source.put("first", data, visibility="public")
        killed = Event()
        half_way = partial(killed.wait, PATIENCE)
        proxy.fault(Fault("PUT", FILE, times=1, at=MIB // 2, before=half_way))
        with one, two:
            proxy.wait_for("PUT", FILE, bytes_moved=MIB // 2)
            leading, waiting = sorted((one, two), key=lambda daemon: "leads" not in daemon.said)
            assert "leads" not in waiting.said
            leading.kill()
            killed.set()
            eventually(lambda: waiting.statuses("t0") == {"first": "ready"})
    assert target.data(first) == data
    assert len(target.images()) == 1
    assert {run.result for run in waiting.runs() if run.holder in waiting.said} == {"done"}


def test_another_host_takes_over_what_was_on_its_way(
    source: Service, target: Service, tmp_path: Path, database: str
) -> None:
    """Whether a process of another host lives, nobody can see; but whoever led before is done."""
    data = images.random_bytes(4 * MIB, 1)
    image = source.put("image", data)
    settings = configuration(source, target, schedule="1s", daemon={"database": database})
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", FILE, times=1, cut_body=MIB, hang=True))
        through = configuration(source, proxy, schedule="1s", daemon={"database": database})
        with Daemon(tmp_path, through) as one:
            proxy.wait_for("PUT", FILE, hanging=True)
            eventually(lambda: one.statuses("t0").get("image", "").startswith("copying"))
            one.kill()
    mark = "meltemi_replicated_at"
    target.sql(
        "UPDATE image_properties SET value = regexp_replace(value, 'by [^/]+/', 'by elsewhere/')"
        f" WHERE name = '{mark}'"
    )
    two = Daemon(tmp_path, settings, "two")
    two.ask(moved_elsewhere)
    with two:
        eventually(lambda: two.statuses("t0") == {"image": "ready"})
    assert target.data(image) == data
    assert len(target.images()) == 1
    assert not [one for one in two.changes() if "another replicator" in one.detail]


async def moved_elsewhere(state: State) -> None:
    """Let the daemon that led have been one of another host."""

    def move(connection: Connection) -> None:
        for table in ("runs", "leases"):
            place = "'elsewhere' || substr(holder, strpos(holder, '/'))"
            connection.execute(text(f"UPDATE {table} SET holder = {place}"))

    await state._database.write(move)


def test_a_daemon_that_stops_hands_over_at_once(
    source: Service, target: Service, tmp_path: Path, database: str
) -> None:
    settings = configuration(source, target, schedule="1s", daemon={"database": database})
    one, two = (Daemon(tmp_path, settings, name) for name in ("one", "two"))
    with one:
        eventually(lambda: "leads" in one.said)
        with two:
            assert one.stop() == 0
            image = source.put("later", b"data")
            eventually(lambda: target.has(image))
    assert "does not lead any more" in one.said


def test_one_that_was_frozen_finds_that_another_leads(
    source: Service, target: Service, tmp_path: Path, database: str
) -> None:
    """As two that are cut off from each other: who cannot renew its lease stops its transfers."""
    with Proxy(target.url) as proxy:
        settings = configuration(source, proxy, schedule="1s", daemon={"database": database})
        one, two = (Daemon(tmp_path, settings, name) for name in ("one", "two"))
        with one:
            eventually(lambda: "leads" in one.said)
            one.freeze()
            with two:
                eventually(lambda: "leads" in two.said)
                image = source.put("image", images.random_bytes(MIB, 3))
                eventually(lambda: two.statuses("t0") == {"image": "ready"})
                one.thaw()
                eventually(lambda: "does not lead any more" in one.said)
                assert target.statuses() == {image: "active"}
                assert "does not lead" not in two.said
    assert len(proxy.of("PUT", FILE)) == 1


def test_a_database_that_is_restarted(source: Service, target: Service, tmp_path: Path) -> None:
    with Postgres(durable=True) as postgres:
        database = made_in(postgres, "state")
        settings = configuration(source, target, schedule="1s", daemon={"database": database})
        with Daemon(tmp_path, settings) as daemon:
            eventually(lambda: "leads" in daemon.said)
            postgres.kill()
            image = source.put("image", b"data")
            postgres.start()
            eventually(lambda: target.has(image) and "image" in daemon.statuses("t0"))
            eventually(lambda: daemon.statuses("t0") == {"image": "ready"})
            assert not daemon.has_ended


def test_who_is_cut_off_from_the_database_stops_sending_and_comes_back(
    source: Service, target: Service, tmp_path: Path
) -> None:
    """Its target never notices that the upload was broken off: there the image stays `saving`."""
    with Postgres(durable=True) as postgres, Proxy(target.url) as proxy:
        settings = configuration(
            source, proxy, schedule="1s", daemon={"database": made_in(postgres, "state")}
        )
        image = source.put("image", data := images.random_bytes(4 * MIB, 3))
        proxy.fault(Fault("PUT", FILE, times=1, cut_body=MIB, hang=True))
        with Daemon(tmp_path, settings) as daemon:
            proxy.wait_for("PUT", FILE, hanging=True)
            postgres.kill()
            eventually(lambda: "does not lead any more" in daemon.said)
            postgres.start()
            eventually(lambda: daemon.statuses("t0") == {"image": "ready"})
            [placement] = daemon.placements()
    assert placement.target_id not in (None, image)
    assert target.data(placement.target_id or "") == data
