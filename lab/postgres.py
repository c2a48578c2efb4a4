"""Debian's PostgreSQL on a free port of loopback, in a folder of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from lab import guard
from lab.debian import program
from lab.errors import LabError, Unavailable
from lab.process import Server
from lab.state import folder, lock

USER = "lab"


class Postgres(Server):
    """A PostgreSQL server that trusts everyone on loopback and syncs nothing to disk.

    With `durable` it may be killed: what it acknowledged is there when it is started again.
    """

    # The fast shutdown: it does not wait for clients to leave.
    stop_signal = signal.SIGINT

    def __init__(self, *, durable: bool = False) -> None:
        """Initialise a cluster in a temporary folder; nothing runs yet."""
        self._durable = durable
        self._bin = program("initdb", "postgresql").parent
        if os.geteuid() == 0:
            self.run_as = _account()
        # Not below a test's folder: those are closed to other users.
        home = Path(tempfile.mkdtemp(prefix="lab-postgres-"))
        guard.tell({"folder": str(home)})
        super().__init__("postgres", home)
        self.url = f"postgresql://{USER}@127.0.0.1:{self.port}"
        self._data = home / "data"
        if self.run_as:
            shutil.chown(home, self.run_as, self.run_as)
        self._run(
            *("initdb", "--username", USER, "--auth", "trust", "--no-sync"),
            *("--encoding", "UTF8", "--locale", "C", "--pgdata", str(self._data)),
            user=self.run_as,
        )

    def command(self) -> list[str]:
        """Return the postmaster's command line."""
        settings = {
            "fsync": "off",
            "full_page_writes": "off",
            "listen_addresses": "127.0.0.1",
            "max_connections": "400",
            "port": str(self.port),
            "shared_buffers": "64MB",
            # The kernel keeps what a killed process wrote: nothing has to reach the disk.
            "synchronous_commit": "on" if self._durable else "off",
            "unix_socket_directories": "",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self._data), *options]

    def ready(self) -> bool:
        """Tell whether the server accepts connections."""
        with contextlib.suppress(LabError):
            self._run("pg_isready", "--quiet", "--dbname", f"{self.url}/postgres")
            return True
        return False

    def pause(self) -> None:
        """Freeze it with all its processes, which are groups of their own."""
        super().pause()
        while not _is_stopped(self.pid):  # until then it may make more of them
            time.sleep(0.01)
        for process in _children(self.pid):
            os.kill(process, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        for process in _children(self.pid) if self.running else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        super().resume()

    def kill(self) -> None:
        """End it at once with all its processes, which are groups of their own."""
        theirs = _children(self.pid) if self.running else []
        super().kill()
        for process in theirs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        # A new one does not start while they still have the memory that they share.
        while any(Path(f"/proc/{process}/exe").exists() for process in theirs):
            time.sleep(0.01)

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server and delete its data."""
        self.remove()

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one SQL statement and return its rows as tab-separated text."""
        return self._run(
            *("psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only"),
            *("--field-separator", "\t", "--set", "ON_ERROR_STOP=1"),
            *("--dbname", f"{self.url}/{database}", "--command", statement),
        )

    def create_database(
        self, name: str, *, schema: str = "", build: Callable[[str], None] | None = None
    ) -> str:
        """Create a database and return its URL, in SQLAlchemy's form.

        `schema` names what `build` makes in the empty database whose URL it is
        given. It is built once on this machine and kept as a dump, loaded once
        into this server as a template, and copied from there.
        """
        template = "template1"
        if build is not None:
            template = f"schema-{schema}"
            with lock(f"postgres-{self.port}"):
                if not self._exists(template):
                    self._make_template(template, build)
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self._driver_url(name)

    def _driver_url(self, database: str) -> str:
        # Which driver goes without saying depends on the version of SQLAlchemy.
        return f"postgresql+psycopg2{self.url.removeprefix('postgresql')}/{database}"

    def _exists(self, name: str) -> bool:
        return name in self.execute("SELECT datname FROM pg_database").splitlines()

    def _make_template(self, name: str, build: Callable[[str], None]) -> None:
        draft = f"{name}-draft"
        self.execute(f'DROP DATABASE IF EXISTS "{draft}"')
        self.execute(f'CREATE DATABASE "{draft}"')
        dump = folder("schemas") / f"{name}.sql"
        with lock(name):
            if dump.exists():
                self._run(
                    *("psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"),
                    *("--single-transaction", "--dbname", f"{self.url}/{draft}"),
                    text=dump.read_text(),
                )
            else:
                build(self._driver_url(draft))
                text = self._run("pg_dump", "--no-owner", "--dbname", f"{self.url}/{draft}")
                partial = dump.with_suffix(".partial")
                partial.write_text(text)
                partial.rename(dump)
        self.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')

    def _run(
        self, tool: str, *arguments: str, text: str | None = None, user: str | None = None
    ) -> str:
        done = subprocess.run(
            [str(self._bin / tool), *arguments],
            input=text,
            capture_output=True,
            text=True,
            cwd="/",
            user=user,
            group=user,
            extra_groups=[] if user else None,
            check=False,
        )
        if done.returncode:
            raise LabError(f"{tool} failed: {done.stderr or done.stdout}")
        return done.stdout.strip()


def _is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _account() -> str:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Unavailable("postgresql: it refuses to run as root, and there is no user to run it as")
