"""What the daemon tells Prometheus, with the alerts and the dashboard that come with it."""

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from lab import Prometheus, free_port
from lab.prometheus import promtool
from lab.state import ROOT
from tests.daemon.asking import TOKENS, Asked
from tests.daemon.words import configuration
from tests.support.daemon import Daemon
from tests.support.glance import Service
from tests.support.waiting import eventually

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "meltemi.rules.yaml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "meltemi.json").read_text())
TESTS = Path(__file__).parent / "rules.yaml"
PAGE = ROOT / "docs" / "monitoring.md"
NAME = re.compile(r"\b(?:meltemi|process)_[a-z_]+|\bup\b")

pytestmark = pytest.mark.services


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Give what the dashboard asks, with its variables filled in as Grafana does."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    for name, value in {"$__rate_interval": "30s", **dict.fromkeys(VARIABLES, ".*")}.items():
        asked = [one.replace(name, value) for one in asked]
    return asked


VARIABLES = ("$job", "$route", "$library")


@dataclass
class Watched:
    """A daemon that Prometheus watches, and where that answers."""

    daemon: Daemon
    prometheus: Prometheus
    metrics: int
    image: str

    def text(self) -> str:
        """Read what the daemon tells."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=60) as one:
            assert one.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return str(one.read().decode())

    def asked(self, path: str, **query: str) -> Any:
        """Ask Prometheus."""
        url = f"{self.prometheus.url}/api/v1/{path}?{urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.loads(answer.read())["data"]

    def series(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Give the series of an expression, and what each is now."""
        found = self.asked("query", query=expression)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def value(self, expression: str) -> float:
        """Give the value of an expression that comes to one; no number where it comes to none."""
        found = self.series(expression)
        assert len(found) < 2, found
        return found[0][1] if found else nan

    def firing(self) -> set[str]:
        """Name the alerts that fire."""
        alerts = self.asked("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


@pytest.fixture
def watched(source: Service, targets: list[Service], tmp_path: Path) -> Iterator[Watched]:
    """Give a daemon with one image in two places, and rules whose alerts wait for nothing."""
    image = source.put("a secret name", b"d" * 4096, owner="1f2e3d")
    metrics = free_port()
    daemon = {"tokens": TOKENS, "metrics": {"port": metrics}}
    prepared = configuration(source, *targets[:2], daemon=daemon, within="15m")
    hasty = tmp_path / "hasty.yaml"
    hasty.write_text(re.sub(r"\bfor: \w+", "for: 0s", RULES.read_text()))
    prometheus = Prometheus(tmp_path / "prometheus", {"meltemi": [metrics]}, [hasty])
    with Daemon(tmp_path, prepared) as started, prometheus:
        yield Watched(started, prometheus, metrics, image)


def test_the_rules_are_rules() -> None:
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    for file in (RULES, TESTS):
        shutil.copy(file, tmp_path)
    tested = promtool("test", "rules", tmp_path / TESTS.name)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    named = set(re.findall(r"alertname: (\w+)", TESTS.read_text()))
    assert named == {rule["alert"] for rule in rules()}


def test_every_alert_says_what_to_do() -> None:
    told = set(re.findall(r"^### (Meltemi\w+)$", PAGE.read_text(), re.MULTILINE))
    assert told == {rule["alert"] for rule in rules()}


def test_the_dashboard_is_one_that_grafana_draws() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    known = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    text = json.dumps(DASHBOARD["panels"])
    assert set(re.findall(r"\$\{?(?!__)([a-z]+)", text)) == known
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not taken & cells
        taken |= cells


def test_prometheus_reads_a_daemon_and_alerts(watched: Watched, targets: list[Service]) -> None:
    for expression, least in {
        'sum(meltemi_placements{observed="ready"})': 2,
        'up{job="meltemi"}': 1,
        "sum(meltemi_moved_bytes_total)": 2 * 4096,
        'sum(meltemi_actions_total{result="done"})': 2,
        'sum(meltemi_runs_total{cause="start", result="done"})': 1,
        "sum(meltemi_library_up)": 2,
        "meltemi_leader": 1,
    }.items():
        eventually(lambda one=expression, least=least: watched.value(one) >= least)  # type: ignore[misc]
    for name in ("late", "behind", "queued", "transfers", "paused", "library_failures"):
        eventually(lambda one=f"meltemi_{name}": figures(watched, one) == [0, 0])  # type: ignore[misc]
    eventually(lambda: watched.firing() == set())
    assert_everything_that_is_asked_for_is_there(watched)
    text = watched.text()
    for secret in (watched.image, "a secret name", "1f2e3d"):
        assert secret not in text

    asked = Asked(watched.daemon)
    good = watched.daemon.file.read_text()
    watched.daemon.file.write_text("version: 2\n")
    assert asked.call("PUT", "/v1/pauses/library/t0").status == 204
    targets[1].server.stop()
    assert asked.call("POST", "/v1/runs", {"library": "t1"}).status == 202
    troubles = {"MeltemiConfigurationRefused", "MeltemiPaused", "MeltemiLibraryAway"}
    eventually(lambda: watched.firing() == troubles)
    eventually(lambda: watched.value('meltemi_library_failures{library="t1"}') >= 1)
    eventually(lambda: watched.value('sum(meltemi_requests_heard_total{cause="request"})') >= 1)
    assert_one_that_waits_tells_nothing_of_images(watched)

    watched.daemon.file.write_text(good)
    assert asked.call("DELETE", "/v1/pauses/library/t0").status == 204
    targets[1].server.start()
    eventually(lambda: watched.firing() == set())

    watched.daemon.stop()
    eventually(lambda: watched.firing() >= {"MeltemiDaemonDown", "MeltemiNobodyLeads"})


def figures(watched: Watched, expression: str) -> list[float]:
    return [value for _, value in watched.series(expression)]


def assert_one_that_waits_tells_nothing_of_images(watched: Watched) -> None:
    """Which would be counted twice."""
    folder = watched.daemon.folder / "two"
    folder.mkdir()
    settings = {"database": watched.daemon.database, "metrics": {"port": (port := free_port())}}
    with Daemon(folder, {"version": 1, "libraries": {}, "daemon": settings}):
        text = replace(watched, metrics=port).text()
    assert "\nmeltemi_leader 0.0\n" in text
    assert "meltemi_placements" not in text
    assert "\nmeltemi_leader 1.0\n" in watched.text()
    assert "meltemi_placements" in watched.text()


def assert_everything_that_is_asked_for_is_there(watched: Watched) -> None:
    """Hold every expression, of alerts and panels, and every name in them, against Prometheus."""
    asked = [*expressions(), *(rule["expr"] for rule in rules())]
    there = set(watched.asked("label/__name__/values"))
    named = {name for one in asked for name in NAME.findall(one)}
    assert named - there == set()
    documented = set(re.findall(r"`(meltemi_[a-z_]+|process_[a-z_]+)`", PAGE.read_text()))
    told = {name for name in there if name.startswith("meltemi_")}
    histogram = "meltemi_run_duration_seconds"
    told = {histogram if name.startswith(histogram) else name for name in told}
    created = {name for name in told if name.endswith("_created")}
    assert told - created == {name for name in documented if name.startswith("meltemi_")}
    for rule in rules():
        watched.series(rule["expr"])
    for expression in expressions():
        eventually(lambda one=expression: bool(watched.series(one)))  # type: ignore[misc]
