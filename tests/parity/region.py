"""A region as a server process, for these tests."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from lab.process import Server

_MELTEMI = (sys.executable, "-m", "meltemi")


class Region(Server):
    """`meltemi serve` in a folder of its own, set up by a file with those settings."""

    def __init__(self, folder: Path, settings: dict[str, Any] | None = None) -> None:
        """Write the settings; nothing runs yet."""
        super().__init__("region", folder)
        self._file = folder / "meltemi-region.yaml"
        public = {"public_endpoint": self.url, "port": self.port, "data": str(folder / "data")}
        self._file.write_text(yaml.safe_dump({"version": 1, **public, **(settings or {})}))

    def command(self) -> list[str]:
        """Give the command line."""
        return [*_MELTEMI, "serve", "--config", str(self._file)]

    def load_definitions(self, source: Path) -> None:
        """Load the metadata definitions of a folder; it must be running."""
        database = f"sqlite:///{self.folder / 'data' / 'catalogue.sqlite'}"
        command = ("db", "load-metadefs", str(source), "--database", database)
        subprocess.run([*_MELTEMI, *command], check=True, capture_output=True)
