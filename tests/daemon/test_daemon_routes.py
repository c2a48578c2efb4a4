"""The daemon keeps the routes of its configuration true."""

from pathlib import Path

from tests.daemon.words import configuration
from tests.support.daemon import Daemon
from tests.support.glance import Service, some_data
from tests.support.waiting import eventually


def test_images_arrive_and_changes_follow(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    first = source.put("first", some_data(1), visibility="public")
    with Daemon(tmp_path, configuration(source, *targets, schedule="1s")) as daemon:
        eventually(lambda: all(t.has(first) for t in targets))
        second = source.put("second", some_data(2), visibility="public")
        eventually(lambda: daemon.statuses("t2") == {"first": "ready", "second": "ready"})
        assert targets[2].data(second) == some_data(2)
        source.change(first, os_version="12")
        eventually(lambda: targets[0].show(first).get("os_version") == "12")
        assert {run.cause for run in daemon.runs()} == {"start", "schedule"}
        assert {run.result for run in daemon.runs() if run.ended} == {"done"}
        # Without a schedule, and whatever events were lost.
        daemon.configure(configuration(source, *targets, daemon={"reconcile": "1s"}))
        eventually(lambda: "reconciliation" in {run.cause for run in daemon.runs()})
        third = source.put("third", some_data(3), visibility="public")
        eventually(lambda: all(t.has(third) for t in targets))
