"""Data on its way into an archive."""

import os
from contextlib import suppress

from meltemi.libraries.archive.data import Hasher
from meltemi.libraries.archive.files import Folder, failing, write_all


class Incoming:
    """A part file that grows; every method blocks, and none may run beside another."""

    def __init__(self, folder: Folder, name: str) -> None:
        self.hasher = Hasher()
        self._folder = folder
        self._name = name
        self._fd = -1

    def begin(self) -> None:
        """Make the file, empty."""
        with failing(self._folder.path / self._name):
            self._folder.remove(self._name)
            self._fd = self._folder.open_file(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def write(self, block: bytearray) -> None:
        """Append a block."""
        with failing(self._folder.path / self._name):
            write_all(self._fd, block)
        self.hasher.update(block)

    def settle(self) -> None:
        """Bring everything onto the disk."""
        with failing(self._folder.path / self._name):
            os.fsync(self._fd)

    def end(self) -> None:
        """Close the file, and remove it where it did not become an image's data."""
        if self._fd >= 0:
            os.close(self._fd)
            with suppress(OSError):
                self._folder.remove(self._name)
            self._fd = -1
