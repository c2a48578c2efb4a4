"""A daemon that is measured."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib import request

import yaml

from meltemi.daemon.state.records import Cause, Request, Run
from meltemi.daemon.state.state import State, open_state

_T = TypeVar("_T")


class Daemon:
    """`meltemi daemon` with one route from `source` to all other libraries, in a folder."""

    def __init__(self, folder: Path, urls: Mapping[str, str], **more: Any) -> None:
        self._folder = folder
        self.file = folder / "meltemi.yaml"
        self._state = folder / "meltemi-daemon.sqlite"
        targets = [name for name in urls if name != "source"]
        document = {
            "version": 1,
            "libraries": {name: {"url": url} for name, url in urls.items()},
            "routes": {"all": {"from": "source", "to": targets}},
            **more,
        }
        self.file.write_text(yaml.safe_dump(document))

    def __enter__(self) -> Self:
        command = [
            sys.executable,
            "-m",
            "meltemi",
            "daemon",
            str(self.file),
            "--listen",
            "127.0.0.1:0",
        ]
        with (self._folder / "daemon.log").open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log, cwd=self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    @property
    def peak_memory(self) -> int:
        """Give the most memory that it has had, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    @property
    def cpu(self) -> float:
        """Give the seconds of CPU that all its threads have taken."""
        ticks = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def url(self) -> str:
        """Wait until it is at work; give where it answers."""
        self.wait_for_log("at work; ")
        found = re.search(r"at work; .*; (\S+)", (self._folder / "daemon.log").read_text())
        assert found is not None
        return found[1]

    @property
    def token(self) -> str:
        """Give the token of its own user."""
        return (self._folder / "meltemi-daemon.token").read_text().strip()

    def get(self, path: str) -> Any:
        """Give what its API answers, read and parsed."""
        asked = request.Request(self.url + path, headers={"X-Auth-Token": self.token})  # noqa: S310 - ours
        with request.urlopen(asked) as answer:  # noqa: S310 - the same
            return json.loads(answer.read())

    def ask(self) -> None:
        """Have it look at everything."""
        request = Request(Cause.REQUEST, time.time())
        self._with_state(lambda state: state.ask(request))

    def wait_for_log(self, text: str) -> None:
        """Wait until it has said something."""
        while text not in (self._folder / "daemon.log").read_text():
            assert self._process.poll() is None
            time.sleep(0.1)

    def ready_at(self, image: str) -> float:
        """Wait until an image is ready; give when it became so, in seconds since 1970."""
        query = "SELECT at FROM changes WHERE image = ? AND observed = 'ready'"
        return float(self._until(query, image))

    def wait_for_ready(self, count: int) -> None:
        """Wait until so many images are ready."""
        self.wait_for_log("at work; ")
        ready = "SELECT count(*) FROM placements WHERE observed = 'ready'"
        self._until(f"SELECT 1 WHERE ({ready}) = ?", count)

    @property
    def last_change(self) -> int:
        """Give the number of the latest change of a placement."""
        return int(self._until("SELECT max(id) FROM changes WHERE id > ?", 0))

    def _until(self, query: str, value: object) -> Any:
        """Wait until a query finds something; give the first of it."""
        with closing(sqlite3.connect(self._state)) as state:
            while not (found := state.execute(query, [value]).fetchone()):
                assert self._process.poll() is None
                time.sleep(0.02)
        return found[0]

    def wait_for_runs(self, count: int) -> list[Run]:
        """Give the runs, the latest first, once so many have ended."""
        while True:
            assert self._process.poll() is None
            runs = self._with_state(lambda state: state.runs(most=count + 1))
            if len(runs) >= count and all(run.ended for run in runs):
                return runs
            time.sleep(0.5)

    def _with_state(self, question: Callable[[State], Awaitable[_T]]) -> _T:
        async def ask() -> _T:
            state = await open_state(f"sqlite:///{self._state}")
            try:
                return await question(state)
            finally:
                await state.close()

        return asyncio.run(ask())
