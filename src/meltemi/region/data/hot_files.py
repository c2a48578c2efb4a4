"""Plain copies of images in a folder, as many as a bound allows; the processes of a host share it.

files/    whole copies, synced; the time of change says that they were verified and not written
          to since, the time of access when one was read last
drafts/   copies that are being made, each locked by who makes it
reads/    empty files: when an image was last read whole
uses/     for each copy when it was made, and one byte more for each time that it was read
queue/    empty files, the oldest first: of what copies are wanted
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote, unquote

_VERIFIED: Final = 1
"""The time of change of verified copies, in seconds; whoever writes to one sets another."""

_SPARE: Final = 10
"""One part in so many of the disk is left free for what is not a copy."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a content: bytes, how often it was read, and when it was made and last read.

    Times are in seconds since 1970.
    """

    content: str
    size: int
    hits: int
    made: float
    read: float


class HotFiles:
    """The folder and its bound in bytes."""

    def __init__(self, folder: Path, bound: int) -> None:
        self._folder = folder
        self._files = folder / "files"
        self._drafts = folder / "drafts"
        self._reads = folder / "reads"
        self._uses = folder / "uses"
        self._queue = folder / "queue"
        self._bound = bound
        for place in (self._files, self._drafts, self._reads, self._uses, self._queue):
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

    def note_use(self, content: str, file: IO[bytes]) -> None:
        """Note that a copy is being read now."""
        os.utime(file.fileno(), (time.time(), _VERIFIED))
        with suppress(FileNotFoundError):  # it may be thrown out at this moment
            uses = os.open(self._uses / _name(content), os.O_WRONLY | os.O_APPEND)
            try:
                os.write(uses, b".")  # appended as a whole, whoever else does the same
            finally:
                os.close(uses)

    def drop(self, content: str) -> bool:
        """Throw a copy out, and say whether there was one; who is reading it may go on."""
        (self._uses / _name(content)).unlink(missing_ok=True)
        return _remove(self._files / _name(content))

    def discard(self, content: str) -> None:
        """Throw a copy out, also one that is being made or wanted."""
        self.unqueue(content)
        _remove(self._drafts / _name(content))
        self.drop(content)

    def names(self) -> list[str]:
        """Name the contents of which there are copies."""
        return [unquote(path.name) for path in self._files.iterdir()]

    def copies(self) -> list[Copy]:
        """Tell of every copy."""
        return [self._copy(path, found) for path, found in _in(self._files)]

    def _copy(self, path: Path, found: os.stat_result) -> Copy:
        made, hits = found.st_atime, 0
        # Without its file, it was made before uses were counted, or is being thrown out.
        with suppress(FileNotFoundError, ValueError):
            text, _, uses = (self._uses / path.name).read_bytes().partition(b"\n")
            made, hits = float(text), len(uses)
        return Copy(unquote(path.name), found.st_size, hits, made, found.st_atime)

    def queue(self, content: str) -> bool:
        """Note that a copy is wanted, unless there is one; say whether it has to be made."""
        if (self._files / _name(content)).exists():
            return False
        place = self._queue / _name(content)
        with suppress(FileExistsError):  # its place in the queue is that of the first who asked
            place.touch(exist_ok=False)
            now = time.time_ns()  # the file system's own clock ticks some times a second only
            os.utime(place, ns=(now, now))
        return True

    def queued(self) -> list[str]:
        """Name the contents of which copies are wanted, in the order in which they were asked for.

        One of which a copy is being made is among them.
        """
        found = sorted((found.st_mtime_ns, path.name) for path, found in _in(self._queue))
        return [unquote(name) for _, name in found]

    def is_queued(self, content: str) -> bool:
        """Say whether a copy is wanted."""
        return (self._queue / _name(content)).exists()

    def unqueue(self, content: str) -> bool:
        """Strike a content out of the queue, and say whether it was there."""
        return _remove(self._queue / _name(content))

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

        Give None where another makes this copy. Where one has made it, or there is no room, give
        None as well, and take it out of the queue.
        """
        path = self._drafts / _name(content)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", 0) as file:
            if not _own(path, file):
                yield None
                return
            try:
                if (self._files / path.name).exists() or not self._has_room(file, size):
                    self.unqueue(content)
                    yield None
                else:
                    yield file
            finally:
                if _is(path, file):
                    path.unlink()

    def publish(self, content: str, draft: IO[bytes]) -> None:
        """Make a draft that was filled and verified a copy, durably; not one that was discarded."""
        path = self._drafts / _name(content)
        os.fsync(draft.fileno())
        os.utime(draft.fileno(), (time.time(), _VERIFIED))
        if not _is(path, draft):
            return
        path.rename(self._files / path.name)
        (self._uses / path.name).write_text(f"{time.time()}\n")
        self.unqueue(content)
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
        for path in self._uses.iterdir():
            if not (self._files / path.name).exists():
                _remove(path)
        self.prune()

    def prune(self) -> list[int]:
        """Throw out what is too much; give the bytes of each copy thrown out."""
        with self._counting():
            return self._shrink(self._bound) or []

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
            if self._shrink(self._bound - size) is None:
                return False
            file.truncate(size)
            return True

    def _shrink(self, most: int) -> list[int] | None:
        """Throw copies out, those first that were not read for longest, down to so many bytes.

        Give the bytes of each. Where that cannot be, nothing is thrown out in vain: None.
        """
        drafts = sum(found.st_size for _, found in _in(self._drafts))
        if drafts > most:
            return None
        copies = sorted((found.st_atime, found.st_size, path) for path, found in _in(self._files))
        taken = drafts + sum(size for _, size, _ in copies)
        thrown = []
        for _, size, path in copies:
            if taken <= most:
                break
            if self.drop(unquote(path.name)):
                thrown.append(size)
            taken -= size
        return thrown

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Let only one process at a time say what there is room for."""
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _name(content: str) -> str:
    return quote(content, safe="")


def _remove(path: Path) -> bool:
    """Remove a file, and say whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


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
