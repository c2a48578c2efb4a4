"""Plain copies of images in a folder, as many as a bound allows; the processes of a host share it.

files/    whole copies, synced; the time of change says that they were verified and not written
          to since, the time of access when one was read last
drafts/   copies that are being made, each locked by who makes it
reads/    empty files: when an image was last read whole
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote, unquote

_VERIFIED: Final = 1
"""The time of change of verified copies, in seconds; whoever writes to one sets another."""

_SPARE: Final = 10
"""One part in so many of the disk is left free for what is not a copy."""


class HotFiles:
    """The folder and its bound in bytes."""

    def __init__(self, folder: Path, bound: int) -> None:
        self._folder = folder
        self._files = folder / "files"
        self._drafts = folder / "drafts"
        self._reads = folder / "reads"
        self._bound = bound
        for place in (self._files, self._drafts, self._reads):
            place.mkdir(parents=True, exist_ok=True)

    def open(self, content: str, size: int) -> IO[bytes] | None:
        """Open a copy for reading, where there is one that nobody has written to."""
        path = self._files / _name(content)
        try:
            # What the kernel notes by itself includes the reading of those who only check.
            file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOATIME), "rb", 0)
        except FileNotFoundError:
            return None
        found = os.fstat(file.fileno())
        if (found.st_size, found.st_mtime) != (size, _VERIFIED):
            file.close()
            self.drop(content)
            return None
        return file

    def note_use(self, file: IO[bytes]) -> None:
        """Note that a copy is being read now."""
        os.utime(file.fileno(), (time.time(), _VERIFIED))

    def drop(self, content: str) -> None:
        """Throw a copy out; who is reading it may go on."""
        (self._files / _name(content)).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Name the contents of which there are copies."""
        return [unquote(path.name) for path in self._files.iterdir()]

    def note_read(self, content: str) -> float | None:
        """Note that an image was read whole; give how long ago, in seconds, it was before, if ever.

        Of two who are first at the same moment, one finds the other's note.
        """
        path = self._reads / _name(content)
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            since = time.time() - path.stat().st_mtime
            path.touch()
            return since
        return None

    @contextmanager
    def draft(self, content: str, size: int) -> Iterator[IO[bytes] | None]:
        """Give an empty file for a copy of so many bytes; what is not published is given up.

        Give None where another makes this copy or has made it, and where there is no room.
        """
        path = self._drafts / _name(content)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", 0) as file:
            if not _own(path, file):
                yield None
                return
            try:
                there = (self._files / path.name).exists()
                yield file if not there and self._has_room(file, size) else None
            finally:
                if _is(path, file):
                    path.unlink()

    def publish(self, content: str, draft: IO[bytes]) -> None:
        """Make a draft that was filled and verified a copy, durably."""
        os.fsync(draft.fileno())
        os.utime(draft.fileno(), (time.time(), _VERIFIED))
        (self._drafts / _name(content)).rename(self._files / _name(content))
        folder = os.open(self._files, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def sweep(self, forget: float) -> None:
        """Remove what the dead left, notes older than so many seconds, and what is too much."""
        for path in self._drafts.iterdir():
            with suppress(FileNotFoundError), path.open("rb") as file:
                if _own(path, file):
                    path.unlink()
        for path in self._reads.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > forget:
                    path.unlink()
        with self._counting():
            self._shrink(self._bound)

    @contextmanager
    def turn(self, interval: float) -> Iterator[bool]:
        """Say whether what one process does every so many seconds is to be done, by this one."""
        stamp = self._folder / "checked"
        with (self._folder / "checking").open("ab") as file:
            due = not stamp.exists() or time.time() - stamp.stat().st_mtime > interval
            if due and _lock(file):
                yield True
                stamp.touch()
            else:
                yield False

    def _has_room(self, file: IO[bytes], size: int) -> bool:
        """Take room for a draft, from what was not read for longest; nothing for one too large."""
        with self._counting():
            disk = shutil.disk_usage(self._folder)
            file.truncate(0)
            if size > self._bound or disk.free - size < disk.total // _SPARE:
                return False
            if not self._shrink(self._bound - size):
                return False
            file.truncate(size)
            return True

    def _shrink(self, most: int) -> bool:
        """Throw copies out, those first that were not read for longest, down to so many bytes.

        Where that cannot be, nothing is thrown out in vain.
        """
        drafts = sum(found.st_size for _, found in _in(self._drafts))
        if drafts > most:
            return False
        copies = sorted((found.st_atime, found.st_size, path) for path, found in _in(self._files))
        taken = drafts + sum(size for _, size, _ in copies)
        for _, size, path in copies:
            if taken <= most:
                break
            path.unlink(missing_ok=True)
            taken -= size
        return True

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Let only one process at a time say what there is room for."""
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _name(content: str) -> str:
    return quote(content, safe="")


def _in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            yield path, path.stat()


def _lock(file: IO[bytes]) -> bool:
    """Take a lock that goes with the process that dies; say whether it was to be had."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _own(path: Path, file: IO[bytes]) -> bool:
    """Lock a file that another may have locked, or taken away from its place."""
    return _lock(file) and _is(path, file)
