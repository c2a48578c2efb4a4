"""A machine beside this one, on which systemd runs: namespaces over the same files and network.

What is written to /etc, /opt and /var there stays there, and is gone with the machine. Of Debian's
own units none is started but the journal.
"""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.debian import program
from lab.errors import LabError, Unavailable
from lab.process import Server, clean_environment

_KINDS: Final = ("--pid", "--mount", "--cgroup", "--uts", "--ipc")

_BOOT: Final = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs machine /mnt
for folder in etc opt var; do
    mkdir -p /mnt/$folder/upper /mnt/$folder/work
    mount -t overlay machine /$folder \
        -o lowerdir=/$folder,upperdir=/mnt/$folder/upper,workdir=/mnt/$folder/work
done
mount -t tmpfs machine /run
mount -t tmpfs machine /etc/systemd/system
mount -t cgroup2 machine /sys/fs/cgroup
mount -o bind,ro /proc/sys /proc/sys
mkdir -p /run/units
cd /lib/systemd/system
cp systemd-journald.service systemd-journald.socket shutdown.target umount.target /run/units
target() {
    printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$1" > "/run/units/$1.target"
    if [ "${2:-}" ]; then
        printf 'Requires=%s\nAfter=%s\n' "$2" "$2" >> "/run/units/$1.target"
    fi
}
target network-online
target sysinit systemd-journald.service
target basic sysinit.target
target multi-user basic.target
export container=lab SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/units
exec /lib/systemd/systemd --system --unit=multi-user.target
"""


class Machine(Server):
    """One machine; it takes root to make it."""

    # The kernel ends whatever runs there when the first process is gone.
    stop_signal = signal.SIGKILL

    def __init__(self, folder: Path) -> None:
        """Look whether it can be had; nothing runs yet."""
        super().__init__("machine", folder)
        if os.geteuid() != 0:
            raise Unavailable("systemd: a machine for it takes root")
        program("systemctl", "systemd")
        # A machine that cannot be made is no failure of what it is for.
        tried = self._unshare("mount --make-rprivate / && mount -t cgroup2 try /sys/fs/cgroup")
        done = subprocess.run(tried, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"systemd: no machine for it can be had here: {done.stderr.strip()}")

    def command(self) -> list[str]:
        """Return the command line that boots it."""
        return self._unshare(_BOOT)

    def _unshare(self, script: str) -> list[str]:
        return ["unshare", "--fork", "--kill-child", "--mount-proc", *_KINDS, "sh", "-c", script]

    def ready(self) -> bool:
        """Tell whether it has booted."""
        try:
            return self.run("systemctl is-system-running", check=False).strip() == "running"
        except LabError:
            return False

    def run(
        self, script: str, environment: Mapping[str, str] | None = None, *, check: bool = True
    ) -> str:
        """Run a script there, as root, and return what it prints, stderr included."""
        [first] = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split() or [""]
        if not first:
            raise LabError("the machine does not run")
        done = subprocess.run(
            ["nsenter", "--target", first, *_KINDS, "bash", "-euo", "pipefail", "-c", script],
            env={**clean_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise LabError(f"{script}\n{done.returncode}: {done.stdout}")
        return done.stdout
