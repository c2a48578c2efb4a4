"""Debian's Ceph as a small S3: one monitor, one OSD that keeps all in memory, one gateway."""

import base64
import hashlib
import hmac
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from email.utils import formatdate
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

from lab import guard
from lab.debian import program
from lab.errors import LabError
from lab.process import Server, clean_environment, free_port, listening

ACCESS_KEY: Final = "lab"
SECRET_KEY: Final = "labsecret"  # noqa: S105 - of a server on loopback for a minute

_MEMORY: Final = 2 * 2**30
_CONFIGURATION: Final = """\
[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{mon_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
crash dir = {folder}/run
log file =
log to stderr = true
err to stderr = true
mon cluster log file = /dev/null
mon initial members = a
mon allow pool size one = true
mon data avail crit = 0
mon data avail warn = 0
mon osd down out interval = 0
paxos propose interval = 0.05
paxos min wait = 0.01
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
osd class load list = *
osd class default list = *
memstore device bytes = {memory}
[client.rgw.a]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw dynamic resharding = false
rgw gc obj min wait = 1
rgw gc processor period = 5
rgw gc max objs = 3
rgw lc max objs = 3
rgw md log max shards = 1
rgw data log num shards = 1
rgw usage max shards = 1
rgw objexp hints num shards = 1
rgw reshard num logs = 1
"""


class _Daemon(Server):
    """One of Ceph's daemons in the foreground."""

    def __init__(
        self, folder: Path, command: list[str], *, ready: Callable[[], bool] | None, port: int
    ) -> None:
        super().__init__(Path(command[0]).name, folder, port=port)
        self._command = command
        self._ready = ready

    def command(self) -> list[str]:
        """Return the command line."""
        return self._command

    def ready(self) -> bool:
        """Tell whether it answers."""
        return super().ready() if self._ready is None else self._ready()


class Radosgw:
    """A Ceph object gateway without TLS, started and stopped as a whole; it forgets on stop."""

    def __init__(self) -> None:
        """Make an empty cluster in a temporary folder; nothing runs yet."""
        gateway = program("radosgw", "radosgw")
        monitor = program("ceph-mon", "ceph-mon")
        storage = program("ceph-osd", "ceph-osd")
        # A socket's path is short at most, and a test's folder may be deep.
        self.folder = Path(tempfile.mkdtemp(prefix="lab-rgw-"))
        guard.tell({"folder": str(self.folder)})
        for part in ("mon", "osd", "rgw", "run"):
            (self.folder / part).mkdir()
        self._mon_port, port, self._fsid = free_port(), free_port(), str(uuid4())
        self._configuration = self.folder / "ceph.conf"
        self._configuration.write_text(
            _CONFIGURATION.format(
                folder=self.folder,
                fsid=self._fsid,
                mon_port=self._mon_port,
                port=port,
                memory=_MEMORY,
            )
        )
        settings = ["-c", str(self._configuration), "-f"]
        self.monitor = _Daemon(
            self.folder,
            [str(monitor), *settings, "-i", "a"],
            ready=lambda: listening(self._mon_port),
            port=self._mon_port,
        )
        self.storage = _Daemon(
            self.folder, [str(storage), *settings, "-i", "0"], ready=lambda: True, port=free_port()
        )
        self.gateway = _Daemon(
            self.folder, [str(gateway), *settings, "-n", "client.rgw.a"], ready=None, port=port
        )
        self.url = self.gateway.url

    @property
    def environment(self) -> dict[str, str]:
        """Give the variables that lead S3's clients here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> Self:
        """Start everything, and make a user."""
        settings = ["-c", str(self._configuration)]
        monmap = str(self.folder / "monmap")
        address = f"[v1:127.0.0.1:{self._mon_port}]"
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", address, monmap)
        self._run(
            *(*self.monitor.command()[:3], "--mkfs", "-i", "a"),
            *("--monmap", monmap, "--keyring", "/dev/null"),
        )
        self.monitor.start()
        uuid, deadline = str(uuid4()), time.monotonic() + 120
        new = ("ceph", *settings, "--connect-timeout", "30", "osd", "new", uuid, "0")
        while True:
            try:
                self._run(*new)
                break
            except LabError:  # a monitor that listens may not know its commands yet
                if time.monotonic() > deadline:
                    raise
        self._run(*self.storage.command()[:3], "-i", "0", "--mkfs", "--osd-uuid", uuid)
        self.gateway.start(wait=False)
        while not self.gateway.ready() and time.monotonic() < deadline:
            # It ends if it comes before the monitor's first map.
            self.storage.start()
            time.sleep(0.05)
        self.gateway.wait_ready(timeout=1)
        self.administer(
            *("user", "create", "--uid", "lab", "--display-name", "lab", "--max-buckets", "0"),
            *("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY),
        )
        return self

    def bucket(self, name: str) -> str:
        """Make a bucket; give its URL."""
        date = formatdate(usegmt=True)
        text = f"PUT\n\n\n{date}\n/{name}".encode()
        signature = base64.b64encode(hmac.digest(SECRET_KEY.encode(), text, hashlib.sha1))
        headers = {"Date": date, "Authorization": f"AWS {ACCESS_KEY}:{signature.decode()}"}
        with closing(HTTPConnection("127.0.0.1", self.gateway.port, timeout=60)) as connection:
            connection.request("PUT", f"/{name}", headers=headers)
            answer = connection.getresponse()
            if answer.status != HTTPStatus.OK:
                raise LabError(f"no bucket {name}: {answer.status} {answer.read()!r}")
        return f"s3://{name}"

    def administer(self, *arguments: str) -> str:
        """Run radosgw-admin; give what it prints."""
        settings = ["-c", str(self._configuration), "--admin-socket", "", "-n", "client.rgw.a"]
        return self._run("radosgw-admin", *settings, *arguments)

    def remove(self) -> None:
        """Stop everything and delete its data."""
        for server in (self.gateway, self.storage, self.monitor):
            server.kill()  # there is nothing to keep
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Start it for the length of a `with` block."""
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it and delete its data."""
        self.remove()

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
            cwd="/",
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise LabError(f"{Path(command[0]).name} failed: {done.stderr or done.stdout}")
        return done.stdout
