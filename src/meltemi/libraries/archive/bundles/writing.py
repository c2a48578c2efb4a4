"""Writing records into files of a given size."""

import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from blake3 import blake3

from meltemi.errors import UsageError
from meltemi.libraries.archive.bundles.manifest import MOST, Part, bundle_name, header
from meltemi.libraries.archive.bundles.records import Record, encode
from meltemi.libraries.archive.files import PART, Folder, failing, write_all


class BundleWriter:
    """Fills one bundle after another with records, none of which is divided.

    After `close`, nothing is left of what was not kept.
    """

    def __init__(self, folder: Path, set_id: str, size: int) -> None:
        self._folder = Folder.open(folder)
        self._set = set_id
        self._most = size
        self._fd = -1
        self._hash = blake3()
        self._size = 0
        self._parts: list[Part] = []
        self._beside: list[str] = []
        self._kept = False

    def add(self, record: Record) -> int:
        """Append a record, and give its bytes; raise UsageError where no bundle can hold it."""
        raw = encode(record)
        if self._fd >= 0 and self._size + len(raw) > self._most:
            self._end()
        if self._fd < 0:
            self._begin()
        if self._size + len(raw) > self._most:
            raise UsageError(
                f"a bundle of {self._most} bytes does not hold {len(raw)} that belong together; "
                "give a larger size"
            )
        with self._failing():
            write_all(self._fd, raw)
        self._hash.update(raw)
        self._size += len(raw)
        return len(raw)

    def finish(self) -> list[Part]:
        """Bring all bundles to the disk, and name them; give what they are."""
        if self._fd >= 0:
            self._end()
        count = len(self._parts)
        for number in range(1, count + 1):
            with failing(self._folder.path / self._name(number)):
                fd = self._folder.open_file(self._name(number) + PART, os.O_WRONLY)
                try:
                    os.pwrite(fd, header(self._set, number, count), 0)
                    os.fsync(fd)
                finally:
                    os.close(fd)
                self._folder.rename(self._name(number) + PART, self._name(number))
        self._folder.sync()
        return self._parts

    def beside(self, suffix: str, content: bytes) -> None:
        """Write a file of the set that is no bundle."""
        name = f"{self._set}{suffix}"
        self._beside.append(name)
        with self._folder.writing(name) as fd:
            write_all(fd, content)
        self._folder.sync()

    def keep(self) -> None:
        """Say that all is there."""
        self._kept = True

    def close(self) -> None:
        """Let go; remove what was not finished."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if not self._kept:
            bundles = map(self._name, range(1, len(self._parts) + 2))
            for name in (*bundles, *self._beside):
                with suppress(OSError):
                    self._folder.remove(name)
                    self._folder.remove(name + PART)
        self._folder.close()

    def _begin(self) -> None:
        number = len(self._parts) + 1
        if number > MOST:
            raise UsageError(f"it would be more than {MOST} bundles; give a larger size")
        # How many there are is known at the end only.
        room = header(self._set, number, 0)
        with self._failing():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._fd = self._folder.open_file(self._name(number) + PART, flags)
            write_all(self._fd, room)
        self._hash, self._size = blake3(), len(room)

    def _end(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)
        self._parts.append(Part(self._size, self._hash.hexdigest()))

    def _name(self, number: int) -> str:
        return bundle_name(self._set, number)

    def _failing(self) -> AbstractContextManager[None]:
        return failing(self._folder.path / self._name(len(self._parts) + 1))
