"""A server as a subprocess: started, waited for, paused, stopped."""

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from functools import cache
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import guard
from lab.errors import LabError

_handed_out: set[int] = set()


@cache
def _ports() -> int:
    """Open the file of which the byte N is locked by the process that was given port N."""
    path = Path(tempfile.gettempdir(), f"lab-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def free_port() -> int:
    """Return a loopback port that nothing listens on and that no process was given that lives.

    The ports lie below the kernel's ephemeral range: a stopped server's port
    cannot become some client's source port before the server is started again.
    """
    chooser = random.SystemRandom()
    while True:
        port = chooser.randrange(20000, 32000)
        if port not in _handed_out:
            with contextlib.suppress(OSError):
                fcntl.lockf(_ports(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                with socket.create_server(("127.0.0.1", port)):
                    _handed_out.add(port)
                    return port


def listening(port: int) -> bool:
    """Tell whether something takes connections on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what leads OpenStack or Python astray."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("OS_", "PYTHON", "VIRTUAL_ENV"))
        and not key.lower().endswith("_proxy")
    }


class Server:
    """One server process with its group, its log and its port.

    A subclass gives the command; `start` may be called again after `stop` or
    `kill`, and the server comes back on the same port with the same data.
    """

    stop_signal = signal.SIGTERM
    run_as: str | None = None

    def __init__(self, name: str, folder: Path, *, port: int | None = None) -> None:
        """Choose the port and the log; nothing runs yet."""
        self.name = name
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{name}.log"
        self.environment = {"PYTHONWARNINGS": "ignore"}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command line that runs the server in the foreground."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Tell whether the server answers; by default over HTTP, whatever the status below 500."""
        address = f"http://127.0.0.1:{self.port}"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return True
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code < HTTPStatus.INTERNAL_SERVER_ERROR
        except (OSError, HTTPException):
            return False

    @property
    def running(self) -> bool:
        """Tell whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Return the process id, which is its group's id too."""
        if self._process is None:
            raise LabError(f"{self.name} was never started")
        return self._process.pid

    def start(self, *, wait: bool = True) -> Self:
        """Start the process; without `wait`, call `wait_ready` later."""
        if self.running:
            return self
        self._forget()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**clean_environment(), **self.environment},
                cwd="/",
                start_new_session=True,
                user=self.run_as,
                group=self.run_as,
                extra_groups=[] if self.run_as else None,
            )
        guard.tell({"add": [self._process.pid, int(self.stop_signal)]})
        return self.wait_ready() if wait else self

    def wait_ready(self, timeout: float = 300) -> Self:
        """Wait until the server answers, or raise with the end of its log."""
        deadline = time.monotonic() + timeout
        while not self.ready():
            if not self.running or time.monotonic() > deadline:
                why = "no answer" if self.running else "it ended"
                tail = self.log.read_text(errors="replace")[-3000:]
                self.kill()
                raise LabError(f"{self.name} did not start ({why}):\n{tail}")
            time.sleep(0.05)
        return self

    def stop(self, timeout: float = 20) -> None:
        """Ask the server to end, and end it by force after the timeout."""
        if self._process is not None:
            self.ask_to_stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self.kill()

    def ask_to_stop(self) -> None:
        """Ask the server to end without waiting for it, as for several at once."""
        if self.running:
            self.send(self.stop_signal)
            self.resume()

    def kill(self) -> None:
        """End the whole process group at once, as a power cut would."""
        if self._process is not None:
            self.send(signal.SIGKILL)
            self._forget()
            # Its workers may still be on their way out, and hold the port.
            deadline = time.monotonic() + 10
            while listening(self.port) and time.monotonic() < deadline:
                time.sleep(0.02)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
            guard.tell({"drop": self._process.pid})

    def pause(self) -> None:
        """Freeze the server: it keeps its connections and answers nothing."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group, if there still is one."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        """Start the server for the length of a `with` block."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()
