"""What a region writes into its log: JSON, or plain text on a terminal."""

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import datetime
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from lab import Keystone, Region, free_port
from tests.support.cli import PROGRAM, environment
from tests.support.glance import Place, RefusedError, some_data
from tests.support.waiting import eventually

DATA = some_data(9, 2**20)


def lines(server: Region) -> list[Mapping[str, Any]]:
    """Read the log of a region that has stopped; fail where a line is no object."""
    server.stop()
    found = [json.loads(line) for line in server.log.read_text().splitlines()]
    for line in found:
        assert datetime.fromisoformat(line["time"]).utcoffset() is not None
        assert {"level", "logger", "message"} <= set(line)
    return found


def requests(server: Region) -> list[Mapping[str, Any]]:
    """Read the lines about requests, without the probes of whoever waited for the start."""
    return [line for line in lines(server) if "status" in line and line["path"] != "/"]


def test_every_request_is_one_object(tmp_path: Path) -> None:
    with Region(tmp_path / "region") as server:
        place = Place(server.url)
        image = place.put("logged", DATA)
        place.data(image)
        # Whoever has the last byte has it before that is logged.
        told = re.compile(rf"/v2/images/{image}/file.*200")
        eventually(lambda: told.search(server.log.read_text()) is not None)
        with closing(place._connection()) as connection:
            path = "/v2/images/caf%C3%A9%0A?name=unsaid"
            connection.request("GET", path, headers={"X-OpenStack-Request-ID": "req-mine"})
            connection.getresponse().read()
        place.request("GET", "/healthcheck")
        found = requests(server)
    assert [(line["method"], line["path"], line["status"]) for line in found] == [
        ("POST", "/v2/images", 201),
        ("PUT", f"/v2/images/{image}/file", 204),
        ("GET", f"/v2/images/{image}/file", 200),
        ("GET", "/v2/images/caf%C3%A9%0A", 404),
    ]
    assert all(line["duration"] > 0 and line["level"] == "INFO" for line in found)
    assert len({line["request_id"] for line in found}) == 4
    assert found[-1]["request_id"] == "req-mine"
    assert "unsaid" not in server.log.read_text()


@pytest.mark.services
def test_users_are_told_and_their_tokens_are_not(tmp_path: Path) -> None:
    with Keystone(tmp_path / "keystone") as keystone:
        auth = keystone.login()
        user = keystone.user("logged", keystone.password, "logs")
        token = keystone.token("logged", keystone.password, "logs")
        with Region(tmp_path / "region", settings={"keystone": {"auth": auth}}) as server:
            Place(server.url, token=token).put("mine", DATA)
            with pytest.raises(RefusedError, match="401"):
                Place(server.url, token=f"{token}x").images()
            made, filled, refused = requests(server)
        project = keystone.project("logs")
    assert [(line["user"], line["project"]) for line in (made, filled)] == [(user, project)] * 2
    assert (refused["status"], refused["user"], refused["project"]) == (401, None, None)
    assert token not in server.log.read_text()
    assert keystone.password not in server.log.read_text()


@pytest.mark.parametrize("verbose", [False, True])
def test_on_a_terminal_it_is_plain(tmp_path: Path, *, verbose: bool) -> None:
    place = Place(f"http://127.0.0.1:{free_port()}")
    words = ["serve", "--data", str(tmp_path), "--port", str(place.port)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *words, *(["-v"] if verbose else [])], stderr=theirs, env=environment()
    ) as process:
        os.close(theirs)
        seen = b""
        while b"serving images" not in seen:
            seen += os.read(ours, 4096)
        with suppress(RefusedError):
            place.show("%1B%5B2J")
        process.send_signal(signal.SIGTERM)
        with suppress(OSError):  # Linux's way to say that the other end is closed
            while piece := os.read(ours, 4096):
                seen += piece
    os.close(ours)
    assert process.returncode == 0
    first, *others = seen.decode().splitlines()
    assert first == f"meltemi: serving images at {place.url}"
    about = r"\S+ \S+ INFO meltemi\.region\.observing: GET /v2/images/%1B%5B2J: 404"
    assert len(others) == verbose
    assert all(re.fullmatch(about, line) for line in others)


def test_an_answer_that_cannot_go_on_breaks_off(tmp_path: Path) -> None:
    with Region(tmp_path / "region") as server:
        place = Place(server.url)
        image = place.put("damaged", some_data(11, 12 * 2**20))
        for pack in (server.folder / "data" / "store" / "packs").rglob("*"):
            if pack.is_file():
                with pack.open("r+b") as file:
                    file.seek(pack.stat().st_size * 3 // 4)
                    file.write(bytes(4096))
        with pytest.raises((IncompleteRead, ConnectionError)):
            place.data(image)
        found = lines(server)
    [request] = [line for line in found if line.get("status") == 500]
    [failure] = [line for line in found if line["level"] == "ERROR"]
    assert request["path"] == failure["path"] == f"/v2/images/{image}/file"
    assert failure["request_id"] == request["request_id"] is not None
    assert "is damaged" in failure["message"]
