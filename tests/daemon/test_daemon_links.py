"""What crosses a link shares it, by the time of day; and how far each image has come is told."""

from datetime import datetime
from pathlib import Path

from lab import images
from lab.faketime import Clock
from tests.daemon.asking import Asked, Shelves, operator
from tests.support.daemon import Daemon
from tests.support.waiting import eventually

MIB = 2**20
HOUR = 3600


def test_a_link_is_shared_by_all_that_crosses_it_by_the_time_of_day(tmp_path: Path) -> None:
    """At its first rate a block crosses, and the next one a quarter of an hour later."""
    shelves, clock = Shelves(tmp_path), Clock(tmp_path)
    for number in range(2):
        shelves.put(number, f"image {number}", images.random_bytes(4 * MIB, number))
    settings = shelves.configuration()
    settings["libraries"]["R3"] = {"path": str(tmp_path / "R3")}
    settings["links"] = {"cable": {"libraries": ["R1", "R2"], "bwlimit": "00:00,1k 12:00,off"}}
    settings["routes"] = {
        name: {"from": "src", "to": to, "match": {"name": image}}
        for name, to, image in (("one", ["R1", "R3"], "image 0"), ("two", ["R2", "R3"], "image 1"))
    }
    morning = (6 - datetime.now().astimezone().hour) * HOUR
    clock.set(morning)
    with Daemon(tmp_path, settings, environment=clock.environment) as daemon:
        user = operator(Asked(daemon))
        ready = {"image 0": "ready", "image 1": "ready"}
        eventually(lambda: daemon.statuses("R3") == ready)
        eventually(lambda: sum(one.done for one in daemon.placements()) == MIB)
        far = [row for row in user.rows("status") if row["Library"] != "R3"]
        assert sorted(row["Status"] for row in far) == ["copying 0 %", "copying 25 %"]
        assert {row["Total"] for row in far} == {4 * MIB}
        clock.set(morning + 7 * HOUR)
        eventually(lambda: {**daemon.statuses("R1"), **daemon.statuses("R2")} == ready)
    moved = sum(change.moved for change in daemon.changes())
    assert moved == 4 * 4 * MIB
