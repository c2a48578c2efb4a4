"""The command line, run in this process over libraries in memory."""

import json
from pathlib import Path
from typing import Any

import pytest

from meltemi.cli import main as cli
from meltemi.errors import CorruptionError, MeltemiError
from meltemi.model.address import LibraryAddress
from tests.support.memory import MemoryLibrary


class Damaged(MemoryLibrary):
    """A library that can be verified where it lies, as an archive can, and is found damaged."""

    async def verify(self, image_id: str) -> None:
        """Find that an image was altered."""
        raise CorruptionError(f"{self.name}: image {image_id} was altered")


class Command:
    """Runs `meltemi` with a meltemi.yaml whose libraries are in memory.

    In `libraries`, by name, an error stands for one that cannot be opened.
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.libraries: dict[str, MemoryLibrary | MeltemiError] = {}
        self.errors: list[str] = []
        """What Meltemi complained about in the last run, by lines."""
        self._capsys = capsys

    def library(self, name: str, kind: type[MemoryLibrary] = MemoryLibrary) -> MemoryLibrary:
        """Make a library of this name."""
        made = self.libraries[name] = kind(name)
        return made

    def configure(self, **routes: dict[str, Any]) -> None:
        """Write meltemi.yaml; routes come in the order of the words."""
        libraries = {name: {"url": f"http://{name}:9292"} for name in self.libraries}
        content = {"version": 1, "libraries": libraries, "routes": routes}
        (self.folder / "meltemi.yaml").write_text(json.dumps(content))

    def run(self, verb: str, *words: str, code: int = 0) -> list[dict[str, Any]]:
        """Run to the end and see the exit code; give the rows."""
        with pytest.raises(SystemExit) as caught:
            cli.main([verb, *words, "-f", "json"])
        seen = self._capsys.readouterr()
        self.errors = [line for line in seen.err.splitlines() if line.startswith("meltemi: ")]
        assert caught.value.code == code, seen.err
        rows: list[dict[str, Any]] = json.loads(seen.out or "[]")
        return rows

    async def open(self, address: LibraryAddress, *, name: str, **_: Any) -> MemoryLibrary:
        """Stand in for opening what an address names."""
        assert address.url == f"http://{name}:9292"
        found = self.libraries[name]
        if isinstance(found, MeltemiError):
            raise found
        return found


def results(rows: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """Give what became of each image at each target."""
    return {(row["ID"], row["To"]): row["Result"] for row in rows}
