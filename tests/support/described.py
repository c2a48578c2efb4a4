"""Holding a description of an API against what answers, by schemathesis."""

import subprocess
import sys
from pathlib import Path

from tests.support.cli import PATIENCE, environment


def see_described(
    description: Path, configuration: Path, url: str, folder: Path, **variables: str
) -> None:
    """Ask a service what its description says; `folder` is where caches go."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
            *("run", str(description), "--url", url, "--no-color"),
        ],
        env=environment(variables),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
