"""Running a program and measuring what it took."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The kernel counts a new process's peak from its parent's, so a small one starts it.
_MEASURE = """
import json, os, subprocess, sys, time
begun = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
ended = time.perf_counter()
used = usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), ended - begun, used, usage.ru_maxrss * 1024]))
"""


@dataclass(frozen=True)
class Run:
    """What a program took: seconds, seconds of CPU in all its threads, most bytes of memory."""

    seconds: float
    cpu: float
    peak: int


def run(
    *command: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    codes: Sequence[int] = (0,),
) -> Run:
    """Run a program to its end, its stdout thrown away."""
    words = [str(word) for word in command]
    done = subprocess.run(
        [sys.executable, "-I", "-c", _MEASURE, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        check=True,
    )
    code, took, cpu, peak = json.loads(done.stdout)
    if code not in codes:
        raise RuntimeError(f"{' '.join(words)} ended with {code}:\n{done.stderr[-3000:]}")
    return Run(took, cpu, peak)


def meltemi(*words: str | Path, codes: Sequence[int] = (0,)) -> Run:
    """Run the command as a user does, the start of the interpreter included."""
    return run(sys.executable, "-m", "meltemi", *words, codes=codes)
