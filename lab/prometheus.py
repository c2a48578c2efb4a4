"""Debian's Prometheus, which reads what services count, and rules about it."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from lab.debian import program
from lab.process import Server

_PACKAGE = "prometheus"


class Prometheus(Server):
    """One Prometheus on loopback that reads its targets, and looks at its rules, every second."""

    def __init__(
        self, folder: Path, targets: Mapping[str, Sequence[int]], rules: Sequence[Path] = ()
    ) -> None:
        """Choose the port; `targets` are ports on loopback, by the name of their job."""
        super().__init__("prometheus", folder)
        self._program = program("prometheus", _PACKAGE)
        self._settings = folder / "prometheus.yml"
        settings = {
            "global": {
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
            },
            "rule_files": [str(file) for file in rules],
            "scrape_configs": [
                {
                    "job_name": name,
                    "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
                }
                for name, ports in targets.items()
            ],
        }
        self._settings.write_text(yaml.safe_dump(settings))

    def command(self) -> list[str]:
        """Return the command line."""
        return [
            str(self._program),
            f"--config.file={self._settings}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' own checks of rules."""
    command = [str(program("promtool", _PACKAGE)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
