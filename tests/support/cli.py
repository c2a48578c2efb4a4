"""The real command line, run as a user runs it: in a process of its own.

The functions run it anywhere; a `User` runs it in a folder, with a clouds.yaml. Where nothing else
is said, the process is forked from one that has imported everything, for that takes a processor
half a second.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lab import venvs
from lab.process import clean_environment
from tests.support.forking import FORKING, become

PROGRAM = (sys.executable, "-m", "meltemi")
LISTENING = ("env", "--default-signal=INT")
"""Lets a program hear Ctrl-C, also where the tests run in the background, which ignores it."""

PATIENCE = 300
"""Seconds after which a command hangs, however busy the machine is."""

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
    def idle(self) -> bool:
        """Say whether all that was told is that nothing was to do."""
        return re.fullmatch(r"\d+ in sync, 0 to do \(0 B\)\n", self.err) is not None

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
    code: int | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    given: str = "",
    anew: bool = False,
) -> Done:
    """Run the command to its end, with `code` where one is expected, and what is `given` on stdin.

    A traceback is a failure whatever is tested. `anew` starts Python and all.
    """
    if anew or given:
        done = _run([*PROGRAM, *map(str, words)], environment(env), cwd, given=given)
    else:
        done = _forked([*map(str, words)], environment(env), cwd or Path.cwd())
    shown = f"{' '.join(map(str, words))}: exit code {done.code}\n{done.err}{done.out}"
    assert code in (None, done.code), shown
    return done


def succeed(
    *words: object,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    anew: bool = False,
) -> Done:
    """Run the command and see that it exits with 0."""
    return meltemi(*words, code=0, env=env, cwd=cwd, anew=anew)


def peak_memory(*words: object, env: Mapping[str, str] | None = None) -> tuple[Done, int]:
    """Run the command; give also the bytes of memory it had at its peak.

    A small process starts it: the kernel counts a new process's memory from its parent's.
    """
    measured = [sys.executable, "-c", _MEASURE, *PROGRAM, *map(str, words)]
    done = _run(measured, environment(env))
    out, _, peak = done.out.rstrip("\n").rpartition("\n")
    return replace(done, out=out), int(peak) * 1024


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

    def lines(self) -> Iterator[str]:
        """Give the lines of stderr as they come; no later `wait` gives them again."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            yield line.rstrip("\n")

    def wait(self, seconds: float = PATIENCE) -> Done:
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


class User:
    """Runs commands in one folder, with variables that may differ from run to run."""

    def __init__(self, folder: Path, variables: Callable[[], Mapping[str, str]]) -> None:
        self.folder = folder
        self._variables = variables

    def meltemi(
        self, *words: object, code: int | None = 0, env: Mapping[str, str] | None = None
    ) -> Done:
        """Run meltemi; fail unless it ends with `code`, where one is given."""
        return meltemi(*words, code=code, env={**self._variables(), **(env or {})}, cwd=self.folder)

    def running(self, *words: object) -> AbstractContextManager[Running]:
        """Start meltemi; it is killed where it still runs at the end."""
        return running(*words, env=self._variables(), cwd=self.folder)

    def rows(
        self, *words: object, code: int = 0, env: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Run meltemi with `-f json`; give the rows."""
        return self.meltemi(*words, "-f", "json", code=code, env=env).rows

    def watch(self, *words: object) -> str:
        """Run meltemi with stderr on a terminal, to its success; give what was to be seen."""
        ours, theirs = os.openpty()
        seen = b""
        with subprocess.Popen(
            [*PROGRAM, *map(str, words)],
            env=environment({**self._variables(), "TERM": "xterm", "COLUMNS": "200"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            # Linux answers with an error where the other end of a terminal is closed.
            with suppress(OSError):
                while piece := os.read(ours, 4096):
                    seen += piece
        os.close(ours)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
        assert process.returncode == 0, text
        return text

    def openstack(self, *words: object, cloud: str = "admin", region: str = "") -> str:
        """Run the `openstack` client; give what it prints."""
        program = venvs.environment("client") / "bin" / "openstack"
        where = ["--os-cloud", cloud, *(["--os-region-name", region] if region else [])]
        command = [str(program), *where, *map(str, words)]
        done = _run(command, environment(self._variables()), self.folder)
        assert done.code == 0, done.err
        return done.out

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_text(text)
        return path


def _forked(words: list[str], env: dict[str, str], cwd: Path) -> Done:
    with TemporaryDirectory(prefix="meltemi-run-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = FORKING.Process(target=become, args=(words, env, str(cwd), out, err))
        process.start()
        process.join(PATIENCE)
        code = process.exitcode
        process.kill()
        process.join()
        process.close()
        assert code is not None, f"it hangs: {words}"
        return _checked(Done(code, out.read_text(), err.read_text()))


def _run(
    command: list[str],
    env: dict[str, str],
    cwd: Path | None = None,
    seconds: float = PATIENCE,
    given: str = "",
) -> Done:
    done = subprocess.run(
        command,
        env=env,
        cwd=cwd,
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return _checked(Done(done.returncode, done.stdout, done.stderr))


def _checked(done: Done) -> Done:
    assert "Traceback" not in done.err, done.err
    assert "a defect in Meltemi" not in done.err, done.err
    return done
