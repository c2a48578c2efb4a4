"""The real command line, run as a user runs it: in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.process import clean_environment

PROGRAM = (sys.executable, "-m", "meltemi")
LISTENING = ("env", "--default-signal=INT")
"""Lets a program hear Ctrl-C, also where the tests run in the background, which ignores it."""


_MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@dataclass(frozen=True)
class Done:
    """What a run of the command left: exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Give stderr line by line."""
        return self.err.splitlines()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Read the rows of a run with `-f json`."""
        rows: list[dict[str, Any]] = json.loads(self.out)
        return rows

    def about(self, *texts: str) -> str:
        """Give the one line of stderr that holds all these texts; fail where it is not one."""
        found = [line for line in self.lines if all(text in line for text in texts)]
        assert len(found) == 1, f"{len(found)} lines about {texts} in:\n{self.err}"
        return found[0]

    @property
    def complaint(self) -> str:
        """Give stderr where it is exactly one line of Meltemi's."""
        assert len(self.lines) == 1, self.err
        assert self.err.startswith("meltemi: "), self.err
        return self.lines[0]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give this process's environment without what would lead the command astray."""
    clean = {k: v for k, v in clean_environment().items() if not k.startswith("MELTEMI_")}
    return {**clean, **(extra or {})}


def meltemi(
    *words: object,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float = 120,
) -> Done:
    """Run the command to its end; a traceback is a failure whatever is tested."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        env=environment(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return _checked(Done(done.returncode, done.stdout, done.stderr))


def succeed(*words: object, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Done:
    """Run the command and see that it exits with 0."""
    done = meltemi(*words, env=env, cwd=cwd)
    assert done.code == 0, f"exit code {done.code}:\n{done.err}{done.out}"
    return done


def peak_memory(*words: object, env: Mapping[str, str] | None = None) -> tuple[Done, int]:
    """Run the command; give also the bytes of memory it had at its peak.

    A small process starts it: the kernel counts a new process's memory from its parent's.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *PROGRAM, *map(str, words)],
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    out, _, peak = done.stdout.rstrip("\n").rpartition("\n")
    return _checked(Done(done.returncode, out, done.stderr)), int(peak) * 1024


class Running:
    """A command under way."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    @property
    def alive(self) -> bool:
        """Say whether it still runs."""
        return self.process.poll() is None

    def send(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = 120) -> Done:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=seconds)
        return _checked(Done(self.process.returncode, out or "", err))


@contextmanager
def running(
    *words: object,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int = subprocess.PIPE,
) -> Iterator[Running]:
    """Start the command; it is killed where it still runs at the end."""
    process = subprocess.Popen(
        [*LISTENING, *PROGRAM, *map(str, words)],
        env=environment(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Running(process)
        finally:
            process.kill()


def _checked(done: Done) -> Done:
    assert "Traceback" not in done.err, done.err
    assert "a defect in Meltemi" not in done.err, done.err
    return done
