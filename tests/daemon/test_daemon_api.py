"""The API of a daemon: what it answers, to whom, and that its description says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.state import ROOT
from lab.tls import Authority
from meltemi.daemon.api.app import HEALTH, OPERATIONS, Operation
from meltemi.daemon.events import webhook
from tests.daemon.asking import (
    ADMIN,
    OPERATOR,
    READER,
    ROLES,
    Asked,
    Shelves,
    operator,
    path_of,
    settled,
)
from tests.support.archives import put_images, raw
from tests.support.daemon import Daemon
from tests.support.described import see_described
from tests.support.waiting import eventually

CONFIGURATION = Path(__file__).parent / "described" / "schemathesis.toml"
DESCRIPTION = ROOT / "docs" / "daemon-openapi.yaml"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("daemon")
    shelves = Shelves(folder)
    for number in range(3):
        shelves.put(number, "twice" if number else "once", b"data")
    with Daemon(folder, shelves.configuration()) as daemon:
        asked = Asked(daemon)
        settled(asked, 6)
        yield asked


@pytest.fixture(scope="module")
def description() -> Any:
    return yaml.safe_load(DESCRIPTION.read_text())


def test_the_description_has_every_operation_and_no_other(description: Any) -> None:
    said = {
        (method.upper(), path): one.get("x-role")
        for path, item in description["paths"].items()
        for method, one in item.items()
        if method != "parameters"
    }
    there = {(one.method, one.path): str(one.role) for one in OPERATIONS}
    assert said == there | {("GET", HEALTH): None, ("POST", webhook.PATH): None}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_everything_takes_its_role(asked: Asked, operation: Operation) -> None:
    method, path = operation.method, path_of(operation)
    for token in (None, "wrong", "r\xe9ader"):
        answer = asked.call(method, path, token=token)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Meltemi")
    lesser = ROLES[: ROLES.index(operation.role)]
    for role in lesser:
        answer = asked.call(method, path, token=role)
        assert answer.status == 403
        assert answer.message == f"that takes the role {operation.role}: {role} is {role}"
        if method != "GET":
            [latest] = asked.get("/v1/audit?limit=1")["acts"]
            assert (latest["who"], latest["result"]) == (role, "refused")
            assert latest["subject"] == f"{method} {path}"
            assert latest["request_id"] == answer.headers["x-openstack-request-id"]


def test_what_is_not_there(asked: Asked) -> None:
    assert asked.call("GET", "/healthcheck", token=None).body == "OK"
    assert asked.call("GET", "/nothing", token=None).status == 401
    assert asked.call("GET", "/nothing").status == 404
    wrong = asked.call("PATCH", "/v1/runs")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET,POST")


def test_placements_by_page_and_filter(asked: Asked) -> None:
    whole = asked.get("/v1/placements")
    assert whole["next"] is None
    seen, path = [], "/v1/placements?limit=4"
    while path:
        page = asked.get(path)
        assert len(page["placements"]) <= 4
        seen += page["placements"]
        path = page["next"]
    places = [(one["source"], one["image"], one["library"]) for one in seen]
    assert places == sorted(places)
    assert [one["image"] for one in seen] == [one["image"] for one in whole["placements"]]
    first = seen[0]
    assert (first["name"], first["status"], first["wanted"]) == ("once", "ready", True)
    assert (first["behind"], first["late"], first["size"]) == (None, False, 4)
    for filter_, count in {
        "image=once": 2,
        f"image={first['image']}": 2,
        "image=once&library=R1": 1,
        "library=R2": 3,
        "route=all": 6,
        "observed=failed": 0,
        "late=true": 0,
        "late=false": 6,
        "source=other": 0,
    }.items():
        assert len(asked.get(f"/v1/placements?{filter_}")["placements"]) == count, filter_


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/placements?image=never", 404, "no image 'never' is known"),
        ("/v1/placements?image=twice", 409, "several images are named 'twice': 0000"),
        ("/v1/placements?library=R3", 400, "there is no library 'R3': there are R1, R2"),
        ("/v1/placements?route=alll", 400, "there is no route 'alll'; did you mean all?"),
        ("/v1/placements?colour=red", 400, "there is no parameter 'colour'"),
        ("/v1/placements?observed=odd", 400, "observed has to be one of absent, queued"),
        ("/v1/placements?late=perhaps", 400, "late has to be true or false"),
        ("/v1/placements?limit=0", 400, "limit has to be from 1 to 10000"),
        ("/v1/placements?limit=x", 400, "limit has to be a whole number"),
        ("/v1/placements?limit=1&limit=2", 400, "limit is given twice"),
        ("/v1/placements?marker=a", 400, "marker has to be what `next` of a page says"),
        ("/v1/placements?image=%00", 400, "image holds a character that it cannot hold"),
        ("/v1/usage?from=20261126", 400, "from has to be a day, as 2026-11-26"),
        ("/v1/usage?to=2026-02-30", 400, "to has to be a day, as 2026-11-26"),
        ("/v1/usage?marker=2026-11-26/x", 400, "marker has to be what `next` of a page says"),
        ("/v1/runs?marker=-1", 400, "marker has to be a whole number"),
        ("/v1/runs?marker=9999999999999999999", 400, "marker has to be from 0 to"),
        ("/v1/events?library=R3", 400, "there is no library 'R3'"),
    ],
)
def test_what_is_asked_wrongly_is_told(asked: Asked, path: str, status: int, words: str) -> None:
    answer = asked.call("GET", path)
    assert answer.status == status
    assert words in answer.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "the body is no JSON"),
        ([], "the body has to be an object"),
        ({"image": 1}, "image has to be some text"),
        ({"image": ""}, "image has to be some text"),
        ({"region": "R1"}, "there is no key 'region'"),
        ({"library": "R3"}, "there is no library 'R3'"),
        ({"library": "src"}, "there is no library 'src'"),
        ({"route": "none"}, "there is no route 'none': there are all"),
    ],
)
def test_actions_that_cannot_be_meant_are_refused(asked: Asked, body: Any, words: str) -> None:
    before = asked.get("/v1/audit?limit=1")["acts"]
    for path in ("/v1/retries", "/v1/runs"):
        answer = asked.call("POST", path, body)
        assert answer.status == 400
        assert words in answer.message
    assert asked.get("/v1/audit?limit=1")["acts"] == before


def test_runs_are_asked_for_and_listed(asked: Asked) -> None:
    image = asked.get("/v1/placements?image=once")["placements"][0]["image"]
    answer = asked.call("POST", "/v1/runs", {"image": "once", "library": "R2"}, token=OPERATOR)
    told = {"route": None, "library": "R2", "image": image}
    assert (answer.status, answer.body) == (202, told)

    def requested() -> list[Any]:
        runs = asked.get("/v1/runs?route=all&limit=1000")["runs"]
        return [run for run in runs if run["cause"] == "request"]

    eventually(lambda: bool(requested()))
    assert (requested()[0]["libraries"], requested()[0]["images"]) == (["R2"], 1)
    pages = asked.get("/v1/runs?limit=1")
    older = asked.get(pages["next"])["runs"]
    assert pages["runs"][-1]["id"] > older[0]["id"]


def test_pauses_hold_and_end(asked: Asked) -> None:
    for path in ("/v1/pauses/route/all", "/v1/pauses/library/R1"):
        assert asked.call("PUT", path, token=OPERATOR).status == 204
        assert asked.call("PUT", path, token=ADMIN).status == 204
    by = {(one["kind"], one["name"]): one["by"] for one in asked.get("/v1/pauses")["pauses"]}
    assert by == {("route", "all"): "operator", ("library", "R1"): "operator"}
    [route] = asked.get("/v1/routes", token=READER)["routes"]
    assert route["paused"]
    assert [(one["name"], one["paused"]) for one in route["libraries"]] == [
        *(("R1", True), ("R2", False)),
    ]
    assert [one["counts"] for one in route["libraries"]] == [{"ready": 3}, {"ready": 3}]
    assert (route["within"], route["libraries"][0]["behind"]) == (900, None)
    for path in ("/v1/pauses/route/all", "/v1/pauses/library/R1"):
        assert asked.call("DELETE", path, token=OPERATOR).status == 204
        assert asked.call("DELETE", path, token=OPERATOR).status == 404
    assert asked.get("/v1/pauses") == {"pauses": []}
    assert asked.call("PUT", "/v1/pauses/library/R3").status == 400
    assert asked.call("PUT", "/v1/pauses/image/once").status == 400
    assert asked.call("DELETE", "/v1/pauses/route/%00").status == 400
    acts = asked.get("/v1/audit?limit=4")["acts"]
    assert [(act["who"], act["action"], act["subject"]) for act in acts] == [
        ("operator", "resume", "library R1"),
        ("operator", "resume", "route all"),
        ("admin", "pause", "library R1"),
        ("operator", "pause", "library R1"),
    ]


def test_history_tells_how_it_came_about(asked: Asked) -> None:
    changes = asked.get("/v1/changes?image=once&library=R1")["changes"]
    assert changes[0]["observed"] == "ready"
    assert changes[-1]["observed"] == "queued"
    assert sum(change["moved"] for change in changes) == 4


def test_who_answers(asked: Asked) -> None:
    told = asked.get("/v1/daemon", token=OPERATOR)
    [run] = asked.get("/v1/runs?limit=1", token=OPERATOR)["runs"]
    assert told["holder"] == told["leader"] == run["holder"]
    assert told["sender"] == {"who": "operator", "role": "operator", "project": None}


def test_hosts_are_not_named_to_readers(asked: Asked) -> None:
    told = asked.get("/v1/daemon", token=READER)
    assert set(told) == {"version", "sender"}
    assert told["sender"] == {"who": "reader", "role": "reader", "project": None}
    [run] = asked.get("/v1/runs?limit=1", token=READER)["runs"]
    assert "holder" not in run


def test_what_the_description_says_is_so(asked: Asked, tmp_path: Path) -> None:
    see_described(DESCRIPTION, CONFIGURATION, asked.daemon.url, tmp_path)
    assert "a defect" not in asked.daemon.said


def test_a_daemon_that_waits_answers_as_well(asked: Asked) -> None:
    with Daemon(asked.daemon.folder, {}, name="two") as daemon:
        other = Asked(daemon)
        one, two = asked.get("/v1/daemon"), other.get("/v1/daemon")
        assert (one["leader"], two["leader"]) == (one["holder"], one["holder"])
        assert two["holder"] != one["holder"]
        assert len(other.get("/v1/placements?observed=ready")["placements"]) == 6
        before = asked.get("/v1/runs?limit=1")["runs"][0]["id"]
        with asked.watching() as first, other.watching() as second:
            begin = first.next()
            assert begin == second.next()
            assert other.call("POST", "/v1/runs").status == 202
            eventually(lambda: asked.get("/v1/runs?limit=1")["runs"][0]["id"] > before)
        assert asked.get("/v1/audit?limit=1")["acts"][0]["action"] == "run"


def test_behind_tls_and_late(tmp_path: Path) -> None:
    certificate = Authority(tmp_path / "tls").certificate()
    shelves = Shelves(tmp_path)
    image = shelves.put(0, "taken", b"one")
    put_images(tmp_path / "R1", [(raw(image, "taken"), b"another")])
    pem = str(certificate.pem)
    settings = shelves.configuration(tls={"certificate": pem, "key": pem})
    settings["routes"]["all"]["within"] = "0s"
    with Daemon(tmp_path, settings) as daemon:
        assert daemon.url.startswith("https://")
        asked = Asked(daemon, cafile=certificate.bundle)
        settled(asked, 1)
        assert [one["library"] for one in asked.get("/v1/placements?late=true")["placements"]] == [
            "R1"
        ]
        shell = operator(asked, READER)
        [row] = shell.rows("status", "--late", "--cacert", certificate.bundle)
        assert (row["Library"], row["Late"]) == ("R1", True)
        done = shell.meltemi("status", "--cacert", certificate.bundle)
        assert done.lines[0].endswith(", 1 late")
        assert "s, late" in done.out
        assert "certificate is not accepted" in shell.meltemi("status", code=6).complaint
