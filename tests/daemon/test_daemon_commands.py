"""The commands that ask a daemon, run as somebody at a shell runs them."""

import json
import os
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from meltemi.cli import main as cli
from tests.daemon.asking import OPERATOR, READER, Asked, Cloud, Shelves, cloud_of, operator, settled
from tests.support.cli import LISTENING, PATIENCE, PROGRAM, User, environment, running
from tests.support.daemon import Daemon
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault
from tests.support.waiting import eventually

HOUR, DAY = 3_600_000, 86_400_000
"""Milliseconds."""


@pytest.fixture(scope="module")
def cloud(
    glances: Mapping[str, Service], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    with cloud_of(glances, tmp_path_factory.mktemp("daemon")) as made:
        for name in ("once", "twice", "twice"):
            made.source.put(name, b"data")
        made.look()
        settled(made.asked, 6)
        yield made


@pytest.fixture
def asked(cloud: Cloud) -> Asked:
    return cloud.asked


@pytest.fixture
def user(asked: Asked) -> User:
    return operator(asked)


@pytest.fixture
def at_shell(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str]], tuple[object, str]]:
    """Give what runs a command in this process, for its exit code and its complaint."""

    def run(words: list[str]) -> tuple[object, str]:
        monkeypatch.setenv("MELTEMI_DAEMON", asked.daemon.url)
        if "--token-file" not in words:
            monkeypatch.setenv("MELTEMI_DAEMON_TOKEN", OPERATOR)
        with pytest.raises(SystemExit) as caught:
            cli.main(words)
        told = capsys.readouterr()
        [line] = told.err.splitlines()
        assert (told.out, line.partition(" ")[0]) == ("", "meltemi:")
        return caught.value.code, line

    return run


def test_status(user: User) -> None:
    rows = user.rows("status")
    assert sorted(row["Name"] for row in rows) == [*["once"] * 2, *["twice"] * 4]
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
        (["status", "twice"], 3, "several images are named 'twice': "),
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
        (["wait", "twice"], 3, "several images are named 'twice': "),
        (["usage", "--region", "R11"], 2, "there is no library 'R11'; did you mean R1?"),
        (["usage", "--from", "yesterday"], 2, "'yesterday' is not a day, as 2026-11-01"),
        (["statos"], 2, "did you mean status?"),
        (["status", "--late", "--watch"], 2, "--late does not go with --watch"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(
    at_shell: Callable[[list[str]], tuple[object, str]], words: list[str], code: int, message: str
) -> None:
    ended, line = at_shell(words)
    assert ended == code
    assert message in line


def test_who_may_not_is_told_so(asked: Asked) -> None:
    reader = operator(asked, READER)
    done = reader.meltemi("pause", "--route", "all", code=3)
    assert done.complaint == "meltemi: that takes the role operator: reader is reader"
    file = reader.write("token", f"{READER}\n")
    env = {"MELTEMI_DAEMON_TOKEN": "", "MELTEMI_DAEMON_TOKEN_FILE": str(file)}
    assert reader.meltemi("status", env=env).err == "6 ready\n"
    stranger = operator(asked, "s3cret")
    done = stranger.meltemi("status", "--verbose", code=5)
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
    assert (runs[-1]["Cause"], runs[-1]["Libraries"], runs[-1]["Images"]) == (
        *("start", "R1, R2", "all"),
    )
    assert sum(run["Done"] for run in runs) >= 6
    assert len(user.rows("runs", "--last", "1")) == 1
    changes = user.rows("history", "once", "--region", "R2")
    assert [change["Observed"] for change in changes][:: len(changes) - 1] == ["queued", "ready"]
    assert user.rows("history", "once", "--last", "1")[0]["Observed"] == "ready"


def test_waiting_for_an_image_that_is_not_known_yet(cloud: Cloud, user: User) -> None:
    env = {"MELTEMI_DAEMON": cloud.asked.daemon.url, "MELTEMI_DAEMON_TOKEN": READER}
    with running("wait", "later", "--in", "R1,R2", env=env) as waiting:
        lines = waiting.lines()
        assert next(lines) == "later: the daemon does not know it"
        cloud.source.put("later", b"later")
        cloud.look()
        assert list(lines)[-1] == "later: R1 ready, R2 ready"
        done = waiting.wait()
    assert (done.code, done.out) == (0, "")
    assert user.meltemi("wait", "later").err == "later: R1 ready, R2 ready\n"


def test_waiting_in_vain(user: User) -> None:
    done = user.meltemi("wait", "never", "--in", "R1", "--timeout", "1s", code=1)
    told = "never: the daemon does not know it", "never: not ready after 1s: the daemon does not"
    assert [line.startswith(text) for line, text in zip(done.lines, told, strict=True)]


def test_who_no_longer_waits_leaves_nothing_to_be_done(cloud: Cloud) -> None:
    env = {"MELTEMI_DAEMON": cloud.asked.daemon.url, "MELTEMI_DAEMON_TOKEN": READER}
    with running("wait", "never", "--in", "R1", env=env) as waiting:
        lines = waiting.lines()
        assert next(lines) == "never: the daemon does not know it"
        waiting.send(signal.SIGINT)
        assert list(lines) == ["", "meltemi: interrupted"]
        assert waiting.wait().code == 130


def test_waiting_for_what_fails_and_is_tried_again(cloud: Cloud, user: User) -> None:
    cloud.second.fault(Fault("PUT", FILE, answer=413))
    cloud.source.put("large", b"large")
    cloud.look()
    done = user.meltemi("wait", "large", "--in", "R2", code=3)
    assert done.lines[-1].startswith("meltemi: large: R2: failed: ")
    [row] = user.rows("status", "large", "--region", "R2")
    assert (row["Observed"], row["Behind"] > 0, row["Late"]) == ("failed", True, False)
    cloud.second.fault()
    assert "tries again" in user.meltemi("retry", "large").err
    assert user.meltemi("wait", "large").lines[-1] == "large: R1 ready, R2 ready"
    observed = [row["Observed"] for row in user.rows("history", "large", "--region", "R2")]
    assert observed[0] == "queued"
    assert "failed" in observed
    assert observed[-1] == "ready"


def test_waiting_where_something_is_in_the_way(cloud: Cloud, user: User) -> None:
    image = cloud.first.put("taken", b"another")
    cloud.source.put("taken", b"one", id=image)
    cloud.look()
    done = user.meltemi("wait", "taken", code=3)
    assert done.lines[-1].startswith("meltemi: taken: R1: conflict: ")


def test_a_library_that_does_not_answer_is_told(cloud: Cloud, user: User) -> None:
    def troubles() -> list[str | None]:
        [route] = cloud.asked.get("/v1/routes")["routes"]
        return [one["trouble"] for one in route["libraries"]]

    cloud.second.fault(Fault("GET", "", answer=503))
    image = cloud.source.put("half", b"half")
    cloud.look()
    eventually(lambda: any(troubles()))
    [first, second] = troubles()
    assert first is None
    assert user.meltemi("status").lines[1:] == [f"meltemi: tried again soon: library R2: {second}"]
    assert f"route all: R2 is left alone for a while: {second}\n" in cloud.asked.daemon.said
    assert "stamina" not in cloud.asked.daemon.said  # whose words say nothing
    user.meltemi("wait", image, "--in", "R1")
    env = {"MELTEMI_DAEMON": cloud.asked.daemon.url, "MELTEMI_DAEMON_TOKEN": READER}
    anywhere = running("wait", image, env=env)
    with running("wait", image, "--in", "R2", env=env) as waiting, anywhere as patient:
        lines, more = waiting.lines(), patient.lines()
        alone = f"R2 is left alone for a while ({second})"
        assert (next(lines), next(more)) == (f"{image}: {alone}", f"{image}: R1 ready, {alone}")
        cloud.second.fault()
        user.meltemi("retry")
        assert (list(lines)[-1], list(more)[-1]) == (
            *(f"{image}: R2 ready", f"{image}: R1 ready, R2 ready"),
        )
        assert (waiting.wait().code, patient.wait().code) == (0, 0)
    eventually(lambda: not any(troubles()))


def test_watching_on_a_pipe(cloud: Cloud) -> None:
    words = [*LISTENING, *PROGRAM, "status", "--watch", "-f", "json"]
    env = {"MELTEMI_DAEMON": cloud.asked.daemon.url, "MELTEMI_DAEMON_TOKEN": READER}
    with (
        subprocess.Popen(
            words, env=environment(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
        ended(process),
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        # What there is comes first, in the order of ids, which no test knows.
        while json.loads(process.stdout.readline())["Status"] != "ready":
            pass
        image = cloud.source.put("watched", b"watched")
        cloud.look()
        ready = set[str]()
        while ready != {"R1", "R2"}:
            row = json.loads(process.stdout.readline())
            if row["ID"] == image and row["Status"] == "ready":
                ready.add(row["Library"])
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == ""


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let a process not outlive what is done with it."""
    try:
        yield
    finally:
        process.kill()


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
        settings["daemon"] = {"listen": f"127.0.0.1:{port}"}
        daemon.configure(settings)
        user.meltemi("wait", image, env={"OS_CLOUD": "which does not count here"})
        daemon.configure({**settings, "colour": "red"})
        lines = user.meltemi("status", image).lines
        assert "colour: unknown key; a daemon that is at work keeps to" in lines[0]
        daemon.configure(settings)
        env = {"MELTEMI_DAEMON": daemon.url}
        assert "no token was given" in user.meltemi("status", code=5, env=env).complaint
        assert token.read_text().strip() not in daemon.said
    done = user.meltemi("status", code=6)
    assert f"127.0.0.1:{port}: no daemon answers" in done.complaint


def test_a_daemon_that_comes_back(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path)
    shelves.put(0, "early", b"data")
    daemon = Daemon(tmp_path, shelves.configuration())
    with daemon:
        address = daemon.url.removeprefix("http://")
        settled(Asked(daemon), 2)
        env = {"MELTEMI_DAEMON": daemon.url, "MELTEMI_DAEMON_TOKEN": READER}
        watching = running("status", "--region", "R1", "--watch", "-f", "json", env=env)
        with running("wait", "late", "--in", "R1", env=env) as waiting, watching as watch:
            assert watch.process.stdout is not None
            assert json.loads(watch.process.stdout.readline())["Name"] == "early"
            lines, told = waiting.lines(), watch.lines()
            assert next(lines) == "late: the daemon does not know it"
            daemon.kill()
            assert "trying again" in next(lines)
            assert "trying again" in next(told)
            shelves.put(1, "late", b"data")
            daemon.start("--listen", address)
            rest = list(lines)
            assert rest[-1] == "late: R1 ready"
            assert not any("trying again" in line for line in rest)  # that is said once
            assert waiting.wait().code == 0
            # Once each, and nothing of what had been told before.
            assert next(told) == "meltemi: the daemon answers again"
            assert json.loads(watch.process.stdout.readline())["Name"] == "late"


def test_usage(cloud: Cloud, user: User) -> None:
    owner = "3f1e"
    size = 2**20
    cloud.source.put("charged", b"d" * size, owner=owner)
    cloud.look()
    eventually(lambda: len(user.rows("usage", "--project", owner)) == 2)
    eventually(lambda: user.rows("usage", "--project", owner)[1]["Moved"] == size)
    rows = user.rows("usage", "--project", owner, "--region", "R1")
    assert [(row["Project"], row["Library"], row["Moved"]) for row in rows] == [(owner, "R1", size)]
    day = rows[0]["Day"]
    assert {row["Day"] for row in user.rows("usage", "--from", day)} >= {day}
    assert user.rows("usage", "--to", "2020-01-01") == []
    lines = user.meltemi("usage", "--project", owner, "--to", day, "-f", "csv").out.splitlines()
    assert lines[0] == "Day,Project,Library,Moved,Byte-hours"
    assert lines[1].startswith(f"{day},{owner},R1,{size},")
    seen, path = [], "/v1/usage?limit=1"
    while path:
        page = cloud.asked.get(path)
        seen += page["usage"]
        path = page["next"]
    places = [(one["day"], one["project"] or "", one["library"]) for one in seen]
    assert (places, len(seen)) == (sorted(places), len(set(places)))
    assert {"R1", "R2"} == {one["library"] for one in seen}
    whole = cloud.asked.get("/v1/usage?limit=10000")
    history = cloud.asked.get("/v1/changes?limit=10000")["changes"]
    assert bill(history, whole["until"]) == {
        (one["day"], one["project"], one["library"]): (one["moved"], one["byte_hours"])
        for one in whole["usage"]
    }


Entry = tuple[str, str | None, str]


def bill(history: list[dict[str, Any]], until: str) -> dict[Entry, tuple[int, int]]:
    """Charge for a history as its page says, image by image, up to a moment."""
    by_place: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in sorted(history, key=lambda one: int(one["id"])):
        if one["at"] <= until:
            by_place[one["source"], one["image"], one["library"]].append(one)
    moved, stored = Counter[Entry](), Counter[Entry]()
    for (_, _, library), changes in by_place.items():
        there, before = False, ""
        for one, following in zip_longest(changes, changes[1:]):
            observed, start = one["observed"], milliseconds(one["at"])
            end = milliseconds(following["at"] if following else until)
            stays = observed in ("failed", "conflict") or (
                observed == "queued" and before != "ready"
            )
            there, before = observed in ("ready", "stale") or (there and stays), observed
            moved[day_of(start), one["owner"], library] += one["moved"]
            while there and start < end:
                midnight = min((start // DAY + 1) * DAY, end)
                stored[day_of(start), one["owner"], library] += one["size"] * (midnight - start)
                start = midnight
    entries = +moved | +stored
    return {one: (moved[one], (stored[one] + HOUR // 2) // HOUR) for one in entries}


def milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def day_of(moment: int) -> str:
    return datetime.fromtimestamp(moment // 1000, UTC).date().isoformat()
