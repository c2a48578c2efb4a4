"""The completion scripts, in the very shells they are for."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Unavailable, debian
from tests.support.cli import PATIENCE, environment, succeed

pytestmark = pytest.mark.services  # so that nothing is installed where only fast tests run

SHELLS = ("bash", "zsh", "fish")
READY = "%READY%"


def shell(name: str) -> str:
    """Find a shell, or install it; skip by name where that cannot be done."""
    try:
        return str(debian.program(name, name))
    except Unavailable as missing:
        pytest.skip(str(missing))


def variables(folder: Path) -> dict[str, str]:
    """Give an environment in which `meltemi` is a program, and the shell has no settings."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return environment({"PATH": path, "HOME": str(folder), "TERM": "dumb", "COLUMNS": "200"})


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def type(self, text: str, until: Callable[[str], bool]) -> str:
        """Type a text; give what is to be seen once that is as wanted."""
        os.write(self._ours, text.encode())
        seen = ""
        deadline = time.monotonic() + PATIENCE
        while not until(seen):
            waited = select.select([self._ours], [], [], max(deadline - time.monotonic(), 0))[0]
            assert waited, f"after {text!r} there is only: {seen!r}"
            seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self._ours, 4096).decode())
        return seen

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


def completed(name: str, folder: Path, line: str, expected: str) -> None:
    """Type a line and a tab, and see the line completed."""
    script = folder / f"meltemi.{name}"
    script.write_text(succeed("completion", name).out)
    program = shell(name)
    if name == "fish":
        done = subprocess.run(
            [program, "--no-config", "-c", f"source {script}; complete --do-complete '{line}'"],
            env=variables(folder),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        words = [found.split("\t")[0] for found in done.stdout.splitlines()]
        assert expected.rsplit(maxsplit=1)[-1] in words
        return
    begin = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}[name]
    prepare = {"bash": "", "zsh": "autoload -Uz compinit && compinit -u; "}[name]
    terminal = Terminal([program, *begin], variables(folder))
    try:
        # What is typed is shown as well, and so must not hold the word that is waited for.
        terminal.type(f"{prepare}source {script}; echo %READY''%\n", lambda seen: READY in seen)
        terminal.type(f"{line}\t", lambda seen: expected in seen)
    finally:
        terminal.close()


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("meltemi livec", "meltemi livecopy"),
        ("meltemi size --whe", "meltemi size --where"),
        ("meltemi livecopy a b --on-conflict ren", "meltemi livecopy a b --on-conflict rename"),
        ("meltemi completion fi", "meltemi completion fish"),
    ],
)
def test_a_word_is_completed(name: str, tmp_path: Path, line: str, expected: str) -> None:
    completed(name, tmp_path, line, expected)


@pytest.mark.parametrize("name", SHELLS)
def test_a_file_is_completed_where_one_is_asked_for(name: str, tmp_path: Path) -> None:
    (tmp_path / "tonight.plan").touch()
    completed(name, tmp_path, f"meltemi apply {tmp_path}/toni", f"{tmp_path}/tonight.plan")
