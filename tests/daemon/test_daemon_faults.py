"""What goes wrong around a daemon that goes on: targets, clocks, its own configuration."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Event

from lab import images
from lab.faketime import Clock
from meltemi.daemon.state.records import Held
from tests.daemon.words import configuration
from tests.support.daemon import Daemon
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault, Proxy
from tests.support.waiting import eventually

MIB = 2**20


def test_a_target_that_hangs_for_good_delays_no_other(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    with Proxy(targets[0].url) as proxy:
        settings = configuration(source, proxy, targets[1], schedule="1s")
        hanging = Fault("GET", "", hang=True)
        with Daemon(tmp_path, settings) as daemon:
            eventually(lambda: len(proxy.requests) > 0)
            proxy.fault(hanging)
            for name in ("one", "two", "three"):
                image = source.put(name, b"data")
                eventually(lambda image=image: targets[1].has(image))  # type: ignore[misc]
            assert targets[0].images() == []
            eventually(lambda: follow_each_other(daemon, "t0"))
            proxy.fault()
            eventually(lambda: len(targets[0].images()) == 3)  # once it was found to be silent
            eventually(lambda: {p.observed for p in daemon.placements()} == {"ready"})


def follow_each_other(daemon: Daemon, library: str) -> bool:
    """Say whether of the runs that look at a library none has begun before the last one's end."""
    runs = [run for run in reversed(daemon.runs()) if library in run.libraries]
    return all(one.ended and one.ended <= other.began for one, other in pairwise(runs))


def test_a_target_that_hangs_in_the_middle_of_data_delays_no_other(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    with Proxy(targets[0].url) as proxy:
        first = source.put("first", images.random_bytes(4 * MIB, 1))
        proxy.fault(Fault("PUT", FILE, times=1, cut_body=MIB, hang=True))
        with Daemon(tmp_path, configuration(source, proxy, targets[1], schedule="1s")) as daemon:
            proxy.wait_for("PUT", FILE, hanging=True)
            eventually(lambda: daemon.statuses("t1") == {"first": "ready"})
            second = source.put("second", b"data")
            # To this target, too: it takes other images meanwhile.
            eventually(lambda: targets[0].has(second) and targets[1].has(second))
            assert targets[0].show(first)["status"] == "saving"
            assert daemon.statuses("t0")["first"].startswith("copying ")


def test_a_thousand_placements_that_fail_at_once_do_not_storm(
    source: Service, target: Service, tmp_path: Path
) -> None:
    first = source.put("refused", b"data")
    source.sql(
        "INSERT INTO images (id, name, size, status, created_at, deleted, disk_format,"
        " container_format, checksum, owner, min_disk, min_ram, protected, visibility, os_hidden,"
        " os_hash_algo, os_hash_value) SELECT gen_random_uuid(), 'refused', size, status,"
        " created_at, deleted, disk_format, container_format, checksum, owner, min_disk, min_ram,"
        " protected, visibility, os_hidden, os_hash_algo, os_hash_value"
        f" FROM images, generate_series(2, 1000) WHERE id = '{first}'"
    )
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("POST", "images$", answer=403, body="not today"))
        with Daemon(tmp_path, configuration(source, proxy, schedule="1s")) as daemon:
            eventually(lambda: sum(p.attempts > 0 for p in daemon.placements()) == 1000)
            failed = [p for p in daemon.placements() if p.observed == "failed"]
            assert len(failed) > 500
            shares = [((p.due or 0) - p.since) / 15 / 2 ** (p.attempts - 1) for p in failed]
            assert all(0.5 <= share <= 1.001 for share in shares)
            tenths = [sum(0.5 + n / 20 < s <= 0.55 + n / 20 for s in shares) for n in range(10)]
            assert all(0.04 * len(shares) < count < 0.2 * len(shares) for count in tenths)
        attempts = sum(p.attempts for p in daemon.placements())
        assert attempts <= len(proxy.of("POST", "images$")) <= attempts + 8


def test_the_clock_jumps(source: Service, targets: list[Service], tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with Proxy(targets[0].url) as proxy:
        settings = configuration(source, proxy, targets[1], schedule="1s")
        settings["routes"]["daily"] = {**settings["routes"]["all"], "to": "t1"}
        settings["routes"]["daily"]["schedule"] = "0 */12 * * *"
        proxy.fault(Fault("POST", "images$", times=1, answer=403))
        source.put("first", b"data")
        daemon = Daemon(tmp_path, settings, environment=clock.environment)
        with daemon:
            eventually(lambda: "failed" in {change.observed for change in daemon.changes()})
            for hours in (30, -30, 0):
                clock.set(hours * 3600)
                image = source.put(f"after {hours} hours", b"data")
                eventually(lambda image=image: all(t.has(image) for t in targets[:2]))  # type: ignore[misc]
            # It is due after at most 15 s of its clock, and never a day later.
            eventually(lambda: daemon.statuses("t0")["first"] == "ready")
            daily = [
                run for run in daemon.runs() if (run.route, run.cause) == ("daily", "schedule")
            ]
            assert 1 <= len(daily) <= 2  # once for each time it was set forward
            assert daemon.said.count(" leads") == 1


def test_another_configuration_is_taken_without_a_restart(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    first = source.put("first", b"data")
    settings = configuration(source, targets[0], schedule="1s")
    with Daemon(tmp_path, settings) as daemon:
        eventually(lambda: targets[0].has(first))
        daemon.configure(settings | {"routes": {"all": {"from": "s", "to": "nowhere"}}})
        eventually(lambda: "there is no library 'nowhere'" in daemon.said)
        assert "the configuration before it stays in force" in daemon.said
        second = source.put("second", b"data")
        eventually(lambda: targets[0].has(second))
        daemon.configure(configuration(source, targets[0], targets[1], schedule="1s"))
        daemon.signal(signal.SIGHUP)
        eventually(lambda: targets[1].has(first) and targets[1].has(second))
        assert "a new configuration is in force" in daemon.said
        daemon.configure(configuration(source, targets[1], schedule="1s"))
        eventually(lambda: {p.place.library for p in daemon.placements()} == {"t0"})


def test_priorities_and_what_a_library_bears(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    with Proxy(targets[0].url) as proxy:
        settings = configuration(source, proxy, match={"tag": "low"})
        of_target = {**settings["libraries"], "t0": {"url": proxy.url, "transfers": 1}}
        of_source = {**settings["libraries"], "s": {"url": source.url, "transfers": 1}}
        settings["routes"]["high"] = {
            "from": "s", "to": "t0", "match": {"tag": "high"}, "priority": 5,
        }  # fmt: skip
        names = {}
        for number, tag in enumerate(["low", "high"] * 3):
            names[source.put(tag, images.random_bytes(MIB, number), tags=[tag])] = tag
        daemon = Daemon(tmp_path, {**settings, "libraries": of_target})
        daemon.pause(Held.LIBRARY, "t0")

        def observed() -> Counter[str]:
            return Counter(placement.observed for placement in daemon.placements())

        with daemon, held_up(proxy) as go_on:
            eventually(lambda: "leads" in daemon.said)
            daemon.resume(Held.LIBRARY, "t0")
            eventually(lambda: observed() == {"copying": 1, "queued": 5})
            go_on.set()
            eventually(lambda: observed() == {"ready": 6})
        order = [names[request.path.split("/")[-2]] for request in proxy.of("PUT", FILE)]
        assert order[1:] == sorted(order[1:])  # the first may have been found before the others
        for number in (6, 7):
            source.put("low", images.random_bytes(MIB, number), tags=["low"])
        daemon.configure({**settings, "libraries": of_source})
        with daemon, held_up(proxy) as go_on:
            eventually(lambda: observed() == {"ready": 6, "copying": 1, "queued": 1})
            go_on.set()
            eventually(lambda: observed() == {"ready": 8})


@contextmanager
def held_up(proxy: Proxy) -> Iterator[Event]:
    """Hold the next upload up until it may go on; the others are not."""
    go_on = Event()
    proxy.fault(Fault("PUT", FILE, times=1, before=go_on.wait))
    try:
        yield go_on
    finally:
        go_on.set()
