"""A daemon that is measured, and what it has kept."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml


class Running:
    """A daemon process with a state in SQLite."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "daemon.log"
        self._state = folder / "state.sqlite"

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the state."""
        with closing(sqlite3.connect(f"file:{self._state}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def until_said(self, text: str) -> None:
        """Wait until something stands in the log."""
        while text not in self._log.read_text():
            time.sleep(0.1)

    def until_idle(self) -> None:
        """Wait until every look has ended, and no other has begun for a while."""
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 2:
            if self.ask("SELECT 1 FROM runs WHERE ended IS NULL") or self.ask(
                "SELECT 1 FROM runs WHERE began > ?", time.time() - 1
            ):
                quiet_since = time.monotonic()
            time.sleep(0.1)

    def ready_at(self, image: str) -> float:
        """Wait until an image is ready; give when it became so, in seconds since 1970."""
        query = "SELECT at FROM changes WHERE image = ? AND observed = 'ready'"
        while not (found := self.ask(query, image)):
            time.sleep(0.02)
        return float(found[0][0])


@contextmanager
def running(folder: Path, configuration: Mapping[str, Any]) -> Iterator[Running]:
    """Run a daemon on a configuration, in a folder of its own."""
    folder.mkdir()
    file = folder / "meltemi.yaml"
    state = {"database": f"sqlite:///{folder / 'state.sqlite'}"}
    file.write_text(yaml.safe_dump({"version": 1, "daemon": state, **configuration}))
    command = [sys.executable, "-m", "meltemi", "daemon", str(file), "--listen", "127.0.0.1:0"]
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        daemon = Running(folder)
        daemon.until_said("at work")
        yield daemon
    finally:
        process.terminate()
        process.wait()
