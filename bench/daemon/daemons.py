"""A daemon that is measured."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from meltemi.daemon.state.records import Cause, Request, Run
from meltemi.daemon.state.state import State, open_state

_T = TypeVar("_T")


class Daemon:
    """`meltemi daemon` with one route from `source` to all other libraries, in a folder."""

    def __init__(self, folder: Path, urls: Mapping[str, str], **more: Any) -> None:
        self._folder = folder
        self._file = folder / "meltemi.yaml"
        self.url = f"sqlite:///{folder / 'meltemi-daemon.sqlite'}"
        targets = [name for name in urls if name != "source"]
        document = {
            "version": 1,
            "libraries": {name: {"url": url} for name, url in urls.items()},
            "routes": {"all": {"from": "source", "to": targets}},
            **more,
        }
        self._file.write_text(yaml.safe_dump(document))

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "meltemi", "daemon", str(self._file)]
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

    def ask(self) -> None:
        """Have it look at everything."""
        request = Request(Cause.REQUEST, time.time())
        self._with_state(lambda state: state.ask(request))

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
            state = await open_state(self.url)
            try:
                return await question(state)
            finally:
                await state.close()

        return asyncio.run(ask())
