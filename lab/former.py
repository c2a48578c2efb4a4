"""Meltemi as it was at an earlier commit, installed with what it needed then."""

import subprocess
import tarfile
import tempfile
from pathlib import Path

from lab import venvs
from lab.errors import Unavailable
from lab.state import ROOT


def former(commit: str) -> Path:
    """Return the Python of an environment with Meltemi of a commit, built at its first use.

    Raise Unavailable where the history is not here, as in a shallow clone.
    """
    with tempfile.TemporaryDirectory(prefix="lab-former-") as name:
        archive, tree = Path(name) / "tree.tar", Path(name) / "tree"
        done = subprocess.run(
            ["git", "archive", "--output", str(archive), commit],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(
                f"MELTEMI BEFORE THIS ONE IS NOT TESTED: no commit {commit[:12]} here: "
                f"run: git fetch --unshallow ({done.stderr.strip()})"
            )
        with tarfile.open(archive) as packed:
            packed.extractall(tree, filter="data")
        path = venvs.built(f"former-{commit[:12]}", tree / "requirements" / "dev.txt", tree)
    return path / "bin" / "python"
