"""The commands that ask a daemon, run as somebody at a shell runs them."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.asking import OPERATOR, READER, Asked, Shelves, operator, settled
from tests.support.archives import put_images, raw
from tests.support.cli import PROGRAM, User, environment, meltemi, running
from tests.support.daemon import Daemon
from tests.support.waiting import eventually

SPOILT = 9
"""The number of an image whose data is not what its hash says."""


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Shelves:
    made = Shelves(tmp_path_factory.mktemp("daemon"))
    made.put(0, "once", b"data")
    made.put(1, "twice", b"data")
    made.put(2, "twice", b"data")
    return made


@pytest.fixture(scope="module")
def asked(shelves: Shelves) -> Iterator[Asked]:
    with Daemon(shelves.folder, shelves.configuration()) as daemon:
        asked = Asked(daemon)
        settled(asked, 6)
        yield asked


@pytest.fixture
def user(asked: Asked) -> User:
    return operator(asked)


def look(asked: Asked) -> None:
    """Have the daemon look at what is there now."""
    assert asked.call("POST", "/v1/runs").status == 202


def test_status(user: User) -> None:
    rows = user.rows("status")
    assert [row["Name"] for row in rows] == [*["once"] * 2, *["twice"] * 4]
    [row] = user.rows("status", "once", "--region", "R1", "--route", "all")
    assert (row["Status"], row["Behind"], row["Late"], row["Bytes"]) == ("ready", None, False, 4)
    done = user.meltemi("status")
    assert done.err == "6 ready\n"
    assert "Library" in done.out
    assert user.meltemi("status", "--late").err == "nothing\n"
    assert user.meltemi("status", "once", "-f", "value", "-c", "library").out == "R1\nR2\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["status", "never"], 3, "no image 'never' is known to the daemon"),
        (["status", "twice"], 3, "several images are named 'twice': 00000001-"),
        (["status", "--region", "R11"], 2, "there is no library 'R11'; did you mean R1?"),
        (["status", "--route", "al"], 2, "there is no route 'al'; did you mean all?"),
        (["status", "-c", "colour"], 2, "no column 'colour'"),
        (["status", "--file", "none.yaml", "--daemon", ""], 2, "there is no none.yaml"),
        (["status", "--daemon", "http://a b"], 2, "is not the URL of a daemon"),
        (["status", "--daemon", "127.0.0.1:1"], 6, "no daemon answers"),
        (["status", "--token-file", "none"], 2, "none: no token can be read"),
        (["history", "never"], 3, "no image 'never' is known to the daemon"),
        (["runs", "--route", "al"], 2, "did you mean all?"),
        (["retry", "never"], 3, "no image 'never' is known to the daemon"),
        (["retry", "--region", "R11"], 2, "did you mean R1?"),
        (["pause"], 2, "name a --route, a --region, or both"),
        (["pause", "--region", "R11"], 2, "did you mean R1?"),
        (["resume", "--route", "all"], 3, "route all is not paused"),
        (["wait", "once", "--in", "R1,R11"], 2, "there is no library 'R11'; did you mean R1?"),
        (["wait", "once", "--in", "R1,"], 2, "--in takes names of libraries"),
        (["wait", "twice"], 3, "several images are named 'twice': 00000001-"),
        (["statos"], 2, "did you mean status?"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(
    asked: Asked, words: list[str], code: int, message: str
) -> None:
    token = {"MELTEMI_DAEMON_TOKEN": OPERATOR} if "--token-file" not in words else {}
    url = {"MELTEMI_DAEMON": asked.daemon.url}
    done = meltemi(*words, code=code, env={**url, **token}, cwd=asked.daemon.folder)
    assert message in done.complaint


def test_who_may_not_is_told_so(asked: Asked) -> None:
    reader = operator(asked, READER)
    done = reader.meltemi("pause", "--route", "all", code=3)
    assert done.complaint == "meltemi: that takes the role operator: reader is reader"
    stranger = operator(asked, "s3cret")
    done = stranger.meltemi("status", "--debug", code=5)
    assert "the token does not count there" in done.err
    assert "s3cret" not in done.err
    nobody = operator(asked, "")
    assert "no token was given" in nobody.meltemi("status", code=5).complaint


def test_pausing_and_resuming(user: User) -> None:
    told = user.meltemi("pause", "--route", "all", "--region", "R1").lines
    assert told[0].startswith("meltemi: route all is paused")
    paused = user.meltemi("status").lines[1:]
    assert paused == ["meltemi: paused: route all", "meltemi: paused: library R1"]
    user.meltemi("resume", "--route", "all", "--region", "R1")
    assert user.meltemi("status").lines == ["6 ready"]


def test_runs_and_history(user: User) -> None:
    runs = user.rows("runs", "--last", "1000")
    assert (runs[-1]["Cause"], runs[-1]["Planned"], runs[-1]["Libraries"]) == ("start", 6, "R1, R2")
    assert len(user.rows("runs", "--last", "1")) == 1
    changes = user.rows("history", "once", "--region", "R2")
    assert [change["Observed"] for change in changes][:: len(changes) - 1] == ["queued", "ready"]
    assert user.rows("history", "once", "--last", "1")[0]["Observed"] == "ready"


def test_waiting_for_an_image_that_is_not_known_yet(
    asked: Asked, user: User, shelves: Shelves
) -> None:
    env = {"MELTEMI_DAEMON": asked.daemon.url, "MELTEMI_DAEMON_TOKEN": READER}
    with running("wait", "later", "--in", "R1,R2", env=env) as waiting, asked.watching() as stream:
        stream.next()
        shelves.put(3, "later", b"later")
        look(asked)
        done = waiting.wait()
    assert (done.code, done.out, done.err) == (0, "", "later: R1 ready, R2 ready\n")
    assert user.meltemi("wait", "later").err == "later: R1 ready, R2 ready\n"


def test_waiting_in_vain(user: User) -> None:
    done = user.meltemi("wait", "never", "--in", "R1", "--timeout", "1s", code=1)
    assert done.complaint == "meltemi: never: not ready after 1s: the daemon does not know it"


def test_waiting_for_what_fails_and_is_tried_again(
    asked: Asked, user: User, shelves: Shelves
) -> None:
    image = shelves.put(SPOILT, "spoilt", b"what it should be")
    [data] = [
        f
        for f in (shelves.folder / "src").rglob("*")
        if f.is_file() and image in f.name and f.read_bytes() == b"what it should be"
    ]
    data.write_bytes(b"what it should not")
    look(asked)
    done = user.meltemi("wait", "spoilt", "--in", "R2", code=3)
    assert done.complaint.startswith("meltemi: spoilt: R2: failed: ")
    [row] = user.rows("status", "spoilt", "--region", "R2")
    assert (row["Observed"], row["Behind"] > 0, row["Late"]) == ("failed", True, False)
    before = row["Attempts"]
    data.write_bytes(b"what it should be")
    told = user.meltemi("retry", "spoilt").err
    assert "tries again" in told
    assert before >= 1
    assert user.meltemi("wait", "spoilt").err == "spoilt: R1 ready, R2 ready\n"


def test_waiting_where_something_is_in_the_way(asked: Asked, user: User, shelves: Shelves) -> None:
    image = shelves.put(5, "taken", b"one")
    put_images(shelves.folder / "R1", [(raw(image, "taken"), b"another")])
    look(asked)
    done = user.meltemi("wait", "taken", code=3)
    assert done.complaint.startswith("meltemi: taken: R1: conflict: ")


def test_watching_on_a_pipe(asked: Asked, shelves: Shelves) -> None:
    words = [*PROGRAM, "status", "--watch", "-f", "json"]
    env = {"MELTEMI_DAEMON": asked.daemon.url, "MELTEMI_DAEMON_TOKEN": READER}
    with subprocess.Popen(
        words, env=environment(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["Name"], first["Status"]) == ("once", "ready")
        image = shelves.put(6, "watched", b"watched")
        look(asked)
        ready = set[str]()
        for line in process.stdout:
            row = json.loads(line)
            if row["ID"] == image and row["Status"] == "ready":
                ready.add(row["Library"])
            if ready == {"R1", "R2"}:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_nobody_reads_what_is_watched(asked: Asked) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    env = {"MELTEMI_DAEMON": asked.daemon.url, "MELTEMI_DAEMON_TOKEN": READER}
    with running("status", "--watch", env=env, stdout=writing) as watching:
        os.close(writing)
        assert watching.wait().code == 141


def test_on_its_own_machine_a_daemon_needs_no_settings(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path)
    image = shelves.put(0, "only", b"data")
    settings: dict[str, Any] = shelves.configuration()
    del settings["daemon"]["tokens"]
    with Daemon(tmp_path, settings) as daemon:
        token = tmp_path / "meltemi-daemon.token"
        assert token.stat().st_mode & 0o777 == 0o600
        user = User(tmp_path, dict)
        port = daemon.url.rpartition(":")[2]
        daemon.configure({**settings, "daemon": {"listen": f"127.0.0.1:{port}"}})
        user.meltemi("wait", image)
        env = {"MELTEMI_DAEMON": daemon.url}
        assert "no token was given" in user.meltemi("status", code=5, env=env).complaint
        assert token.read_text().strip() not in daemon.said
    done = user.meltemi("status", code=6)
    assert f"127.0.0.1:{port}: no daemon answers" in done.complaint


def test_a_daemon_that_comes_back(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path)
    daemon = Daemon(tmp_path, shelves.configuration())
    with daemon:
        address = daemon.url.removeprefix("http://")
        env = {"MELTEMI_DAEMON": daemon.url, "MELTEMI_DAEMON_TOKEN": READER}
        with running("wait", "late", "--in", "R1", env=env) as waiting:
            asked = Asked(daemon)
            eventually(lambda: asked.get("/v1/routes") is not None)
            daemon.kill()
            told = next(waiting.lines())
            assert "trying again" in told
            shelves.put(0, "late", b"data")
            daemon.start("--listen", address)
            assert waiting.wait().code == 0
