"""The process that ends the lab's servers when their parent is gone.

A parent writes one JSON object a line: {"add": [process group, signal]},
{"drop": process group}, {"folder": path}. When the pipe closes, however the
parent died, every group still listed gets its signal and then SIGKILL, and
every folder listed is removed. The kernel's own parent-death signal would not
do: it fires when the *thread* that started a server ends, and a change of user
clears it.
"""

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

_mutex = threading.Lock()
_pipes: dict[int, IO[str]] = {}


def tell(message: dict[str, object]) -> None:
    """Send one message to this process's guard, started at the first."""
    with _mutex:
        # A forked child must not share its parent's guard.
        pipe = _pipes.get(os.getpid()) or _start()
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()


def _start() -> IO[str]:
    owner = os.getpid()
    reading, writing = os.pipe()
    guard = subprocess.Popen(
        [sys.executable, "-I", __file__],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(reading)
    pipe = _pipes[owner] = os.fdopen(writing, "w")

    def finish() -> None:
        if owner == os.getpid():
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
            guard.wait()

    atexit.register(finish)
    return pipe


def main() -> None:
    """Listen until the parent is gone, then end what it left."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    groups: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin:
        message = json.loads(line)
        if "add" in message:
            groups[message["add"][0]] = message["add"][1]
        groups.pop(message.get("drop", 0), None)
        folders += [message["folder"]] if "folder" in message else []
    for group, number in groups.items():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)
            os.killpg(group, signal.SIGCONT)
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{group}").exists() for group in groups):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    for path in folders:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
