"""A region of Meltemi's own: `meltemi serve` in a folder."""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.process import Server


class Region(Server):
    """One region; without `settings`, which are those of its file, it needs nothing.

    `python` runs it where that is not this one: see `lab.former`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "region",
        settings: Mapping[str, Any] | None = None,
        port: int | None = None,
        python: Path | None = None,
    ) -> None:
        """Write the configuration; nothing runs yet."""
        super().__init__(name, folder, port=port)
        self.config = folder / "meltemi-region.yaml"
        given = {"version": 1, "port": self.port, "data": str(folder / "data")}
        self.settings = {**given, **(settings or {})}
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        if "tls" in self.settings:
            self.url = self.url.replace("http:", "https:")
        self._python = str(python or sys.executable)
        if python is None:
            self.environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)

    def command(self) -> list[str]:
        """Return the command line."""
        return [self._python, "-m", "meltemi", "serve", "--config", str(self.config)]

    @property
    def workers(self) -> list[int]:
        """The processes that answer, where there are several."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]

    def kill_a_worker(self, which: int) -> None:
        """End one of them at once; none where it is just being replaced."""
        with contextlib.suppress(IndexError, ProcessLookupError):
            os.kill(self.workers[which], signal.SIGKILL)
