"""A real daemon: `meltemi daemon` in a process of its own, and what it knows."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from lab.process import clean_environment
from meltemi.daemon.state.records import Change, Held, Pause, Run
from meltemi.daemon.state.state import State, open_state
from meltemi.model.placement import Placement
from tests.support.cli import PROGRAM
from tests.support.waiting import eventually

_T = TypeVar("_T")


class Daemon:
    """A daemon on a meltemi.yaml of the test's; its log is a file beside it."""

    def __init__(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        name: str = "one",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._environment = environment or {}
        self.file = folder / "meltemi.yaml"
        self.log = folder / f"daemon-{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        if configuration:
            self.configure(configuration)

    def configure(self, configuration: Mapping[str, Any]) -> None:
        """Write the configuration, whole."""
        new = self.file.with_suffix(".new")
        new.write_text(yaml.safe_dump(dict(configuration)))
        new.rename(self.file)

    def start(self, *words: str) -> Self:
        """Start it, and wait until it is at work."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*PROGRAM, "daemon", str(self.file), "--listen", "127.0.0.1:0", *words],
                stdout=log,
                stderr=log,
                env=clean_environment() | {"HOME": str(self.folder), **self._environment},
                cwd=self.folder,
            )
        before = self.said.count("at work")
        eventually(lambda: self.said.count("at work") > before or self.has_ended)
        assert not self.has_ended, self.said
        return self

    @property
    def said(self) -> str:
        """Give what it has written to its log."""
        return self.log.read_text()

    @property
    def url(self) -> str:
        """Give where it answers."""
        return str(re.findall(r"at work; .*; (\S+)", self.said)[-1])

    @property
    def has_ended(self) -> bool:
        """Say whether the process is gone."""
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int:
        """Give the number of its process."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> int:
        """Ask it to stop; give its exit code."""
        if self._process is None:
            return 0
        if not self.has_ended:
            self.thaw()
            self.signal(signal.SIGTERM)
        return self._wait()

    def _wait(self) -> int:
        assert self._process is not None
        code = self._process.wait(60)
        self._process = None
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def settings(self) -> dict[str, Any]:
        """Read the configuration."""
        return dict(yaml.safe_load(self.file.read_text()))

    @property
    def database(self) -> str:
        """Give the address of its state."""
        settings = self.settings.get("daemon", {})
        return str(settings.get("database", f"sqlite:///{self.folder / 'meltemi-daemon.sqlite'}"))

    def placements(self) -> list[Placement]:
        """Give every placement that it has kept."""
        return self.ask(lambda state: state.placements())

    def runs(self) -> list[Run]:
        """Give the runs that it has kept, the latest first."""
        return self.ask(lambda state: state.runs(most=1000))

    def changes(self) -> list[Change]:
        """Give the changes that it has kept, as they came."""
        return self.ask(lambda state: state.changes(most=1000))

    def statuses(self, library: str) -> dict[str | None, str]:
        """Give what is observed of each image in a library, by name."""
        return {p.name: p.status for p in self.placements() if p.place.library == library}

    def pause(self, kind: Held, name: str) -> None:
        """Have a route or a library left alone."""
        self.ask(lambda state: state.pause(Pause(kind, name, 0.0, "a test")))

    def resume(self, kind: Held, name: str) -> None:
        """End a pause."""
        assert self.ask(lambda state: state.resume(kind, name))

    def ask(self, question: Callable[[State], Awaitable[_T]]) -> _T:
        """Ask its state something, or leave something there."""

        async def ask() -> _T:
            state = await open_state(self.database)
            try:
                return await question(state)
            finally:
                await state.close()

        return asyncio.run(ask())
