"""Programs from Debian's packages, installed when they are missing."""

import os
import shutil
import subprocess
from pathlib import Path

from lab.errors import Unavailable
from lab.state import lock

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/bin", "/usr/sbin", "/bin", "/sbin")


def find(program: str) -> Path | None:
    """Look for a program where Debian's packages put theirs, newest version first."""
    for place in _PLACES:
        found = sorted(Path("/").glob(f"{place[1:]}/{program}"), key=_version)
        if found:
            return found[-1]
    # Where Debian's packages are to be had, a program from elsewhere may differ.
    elsewhere = None if shutil.which("apt-get") else shutil.which(program)
    return Path(elsewhere) if elsewhere else None


def _version(path: Path) -> int:
    return next((int(part) for part in reversed(path.parts) if part.isdigit()), 0)


def program(name: str, package: str) -> Path:
    """Return the path of a program, installing its Debian package if need be."""
    found = find(name)
    if found is None:
        install(package)
        found = find(name)
    if found is None:
        raise Unavailable(f"{name}: not in the Debian package {package}")
    return found


def install(*packages: str) -> None:
    """Install Debian packages, or raise Unavailable with the command to run."""
    advice = f"{packages[0]}: run: sudo apt-get install {' '.join(packages)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable(advice)
    with lock("apt"):
        command = ["install", "-y", "--no-install-recommends", *packages]
        # The package lists may be missing or old; fetch them only then.
        if apt(*command).returncode and (apt("update").returncode or apt(*command).returncode):
            raise Unavailable(advice)


def apt(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run apt-get without questions and without starting system services."""
    # At runlevel 1 Debian's packages start none of their services.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    return subprocess.run(
        ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
