"""A region of Meltemi's own: `meltemi serve` in a folder."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.process import Server


class Region(Server):
    """One region; without `settings`, which are those of its file, it needs nothing."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "region",
        settings: Mapping[str, Any] | None = None,
        port: int | None = None,
    ) -> None:
        """Write the configuration; nothing runs yet."""
        super().__init__(name, folder, port=port)
        self.config = folder / "meltemi-region.yaml"
        given = {"version": 1, "port": self.port, "data": str(folder / "data")}
        self.settings = {**given, **(settings or {})}
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        if "tls" in self.settings:
            self.url = self.url.replace("http:", "https:")
        self.environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)

    def command(self) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "meltemi", "serve", "--config", str(self.config)]
