"""Servers start, stop, pause and come back, and never outlive who started them."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from lab import Glance, LabError, Postgres, Server, free_port, images
from lab.state import ROOT

CHILD = """
import sys, time
from pathlib import Path
from lab import Server
class Idle(Server):
    def command(self): return [sys.executable, "-m", "http.server", str(self.port)]
server = Idle("idle", Path(sys.argv[1])).start()
print(server.pid, flush=True)
time.sleep(600)
"""

TRIES_FIRST = """
import random, sys
ports = iter([int(sys.argv[1]), *range(20000, 32000)])
random.SystemRandom.randrange = lambda *_: next(ports)
from lab import free_port
print(free_port())
"""


class Web(Server):
    """The standard library's file server."""

    def command(self) -> list[str]:
        """Serve the working folder."""
        return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(self.port)]


class Broken(Server):
    """A server that says why it cannot start."""

    def command(self) -> list[str]:
        """Complain and end."""
        return ["sh", "-c", "echo out of luck; exit 1"]


def test_postgres_comes_back_with_its_data() -> None:
    with Postgres() as server:
        server.create_database("kept")
        server.execute("CREATE TABLE one AS SELECT 7 AS value", "kept")
        server.stop()
        assert not server.ready()
        server.start()
        assert server.execute("SELECT value FROM one", "kept") == "7"
    assert not server.folder.exists()


def test_postgres_going_away_shows_and_heals(postgres: Postgres, tmp_path: Path) -> None:
    with Glance(tmp_path, postgres=postgres, processes=1) as glance:
        postgres.stop()
        try:
            with pytest.raises(urllib.error.HTTPError) as failure:
                urllib.request.urlopen(f"{glance.url}/v2/images")
            assert failure.value.code == 500
            failure.value.close()
        finally:
            postgres.start()
        with urllib.request.urlopen(f"{glance.url}/v2/images") as answer:
            assert answer.status == 200


def test_a_paused_server_answers_once_it_is_resumed(tmp_path: Path) -> None:
    with Web("web", tmp_path) as server:
        server.pause()
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(server.url, timeout=0.5)
        server.resume()
        assert server.wait_ready() is server


def test_a_failed_start_shows_the_log(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="out of luck"):
        Broken("broken", tmp_path).start()


def test_no_server_outlives_a_killed_parent(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    while Path(f"/proc/{server}").exists():
        time.sleep(0.05)


def test_ports_are_given_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_no_two_processes_are_given_a_port() -> None:
    mine = free_port()
    done = subprocess.run(
        [sys.executable, "-c", TRIES_FIRST, str(mine)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert mine != int(done.stdout)


def test_random_bytes_repeat_and_pass_for_raw_data() -> None:
    assert images.random_bytes(1000, 1) == images.random_bytes(1000, 1)
    assert images.random_bytes(1000, 1) != images.random_bytes(1000, 2)
    assert [len(images.random_bytes(size)) for size in (0, 510, 511, 513)] == [0, 510, 511, 513]
