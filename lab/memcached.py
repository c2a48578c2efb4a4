"""Debian's memcached, where Glance keeps the tokens it has validated."""

import os
from pathlib import Path

from lab.debian import program
from lab.process import Server, listening


class Memcached(Server):
    """One memcached on loopback."""

    def __init__(self, folder: Path) -> None:
        """Choose the port; nothing runs yet."""
        super().__init__("memcached", folder)
        self._program = program("memcached", "memcached")
        self.address = f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return the command line."""
        # It refuses to run as root without being told whom to become.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return [str(self._program), "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", *user]

    def ready(self) -> bool:
        """Tell whether it accepts connections."""
        return listening(self.port)
