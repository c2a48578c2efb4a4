"""Virtual environments with the services, built once from hashed lock files."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab.errors import LabError, Unavailable
from lab.state import folder, lock

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
PYTHON = "3.11"


def fingerprint(name: str) -> str:
    """Return a short hash of the environment's lock file."""
    return hashlib.sha256((REQUIREMENTS / f"{name}.txt").read_bytes()).hexdigest()[:12]


def environment(name: str) -> Path:
    """Return the virtual environment of that name, built at its first use."""
    return built(f"{name}-{fingerprint(name)}", REQUIREMENTS / f"{name}.txt")


def built(name: str, locked: Path, package: Path | None = None) -> Path:
    """Return a virtual environment with what a lock file names, and a package that needs it."""
    path = folder("venvs") / name
    marker = path / "complete"
    if not marker.exists():
        with lock(f"venv-{name}"):
            if not marker.exists():
                _build(path, locked, package)
                marker.touch()
    return path


def _build(path: Path, locked: Path, package: Path | None) -> None:
    # Scripts carry the folder's name, so it is built in place; what an
    # interrupted build left has no marker and is thrown away here.
    shutil.rmtree(path, ignore_errors=True)
    _uv("venv", "--quiet", "--python", _interpreter(), str(path))
    install = ("pip", "install", "--quiet", "--compile-bytecode")
    into = ("--python", str(path / "bin" / "python"))
    build = ("--build-constraints", str(REQUIREMENTS / "build.txt"))
    _uv(*install, *into, *build, "--require-hashes", "-r", str(locked))
    if package is not None:
        _uv(*install, *into, "--no-deps", "--no-build-isolation", str(package))


def _interpreter() -> str:
    # The lock files hold for one version of Python, that of Debian 12.
    same = f"{sys.version_info.major}.{sys.version_info.minor}" == PYTHON
    return sys.executable if same else PYTHON


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", *arguments]
    variables = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    variables["UV_PYTHON_DOWNLOADS"] = "never"
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if "No module named uv" in done.stderr:
        raise Unavailable("uv: run: python -m pip install uv")
    if "No interpreter found" in done.stderr:
        raise Unavailable(f"python{PYTHON}: run: sudo apt-get install python{PYTHON}")
    if done.returncode:
        raise LabError(f"uv {' '.join(arguments)} failed:\n{done.stderr}")
