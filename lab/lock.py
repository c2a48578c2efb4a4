"""Write the lock files of the environments anew, with the newest releases allowed."""

import subprocess
import sys

from lab.venvs import PYTHON, REQUIREMENTS


def lock(*names: str) -> None:
    """Resolve the requirements of those environments, or of all of them."""
    for source in sorted(REQUIREMENTS.glob("*.in")):
        if names and source.stem not in names:
            continue
        # Run in the folder, so that no path of this machine gets into the file.
        options = ["--upgrade", "--generate-hashes", "--no-header", "--no-emit-index-url"]
        files = [source.name, "--output-file", f"{source.stem}.txt"]
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet"]
        subprocess.run(
            [*command, "--python-version", PYTHON, *options, *files], cwd=REQUIREMENTS, check=True
        )
