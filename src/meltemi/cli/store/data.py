"""Where a put's data comes from, and where a get's data goes."""

import fcntl
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from meltemi.chunks.blob import Buffer
from meltemi.chunks.writer import PIECE
from meltemi.errors import ImageError, QuotaError, UsageError, printable
from meltemi.workstation.files import FULL, ZEROS, pieces_with_holes

_PIPE: Final = 2**20


class Source:
    """A file, a device or stdin (`-`), of which the size is known unless it is a stream.

    Where the user named none, it is stdin as well, but then something has to come from there.
    """

    def __init__(self, path: str | None) -> None:
        self._named = path is not None
        self.label = "stdin" if path in (None, "-") else printable(path)
        self._file = _stdin() if path in (None, "-") else self._open(path)
        self._before = os.fstat(self._file.fileno())
        self.size = self._measured()

    def __iter__(self) -> Iterator[bytes]:
        """Give the data; raise ImageError where somebody wrote to the file meanwhile."""
        count = 0
        try:
            for piece in self._pieces():
                count += len(piece)
                yield piece
        except OSError as error:
            raise ImageError(f"{self.label}: reading it failed: {error.strerror}") from error
        if not (count or self._named):
            raise UsageError("nothing came from stdin; name a FILE, or - to store no data")
        after = os.fstat(self._file.fileno())
        changed = after.st_mtime_ns != self._before.st_mtime_ns
        if stat.S_ISREG(after.st_mode) and (changed or count != self.size):
            raise ImageError(
                f"{self.label}: it was written to while it was read; nothing was stored: "
                "put it again when nobody does that"
            )

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _pieces(self) -> Iterator[bytes]:
        """Give the data; of a regular file's holes zeros, for which nothing is read."""
        if not stat.S_ISREG(self._before.st_mode):
            while piece := self._file.read1(PIECE):
                yield piece
            return
        file, position = self._file.fileno(), self._file.tell()
        for piece in pieces_with_holes(file, position, self._before.st_size):
            position += len(piece)
            yield piece
        while piece := os.pread(file, PIECE, position):  # it has grown
            position += len(piece)
            yield piece

    def _open(self, path: str) -> io.BufferedReader:
        try:
            return Path(path).open("rb")
        except FileNotFoundError as error:
            raise UsageError(f"{self.label}: there is no such file") from error
        except (OSError, ValueError) as error:
            told = error.strerror if isinstance(error, OSError) else "not the name of a file"
            raise UsageError(f"{self.label}: it cannot be read: {told}") from error

    def _measured(self) -> int | None:
        mode = self._before.st_mode
        if stat.S_ISFIFO(mode):
            with suppress(OSError):  # then the pipe stays as narrow as it is
                fcntl.fcntl(self._file.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
        if stat.S_ISREG(mode):
            return self._before.st_size - self._file.tell()
        if not stat.S_ISBLK(mode):
            return None
        begin = self._file.tell()
        size = self._file.seek(0, os.SEEK_END) - begin
        self._file.seek(begin)
        return size


def _stdin() -> io.BufferedReader:
    if sys.stdin is None:
        raise UsageError("there is no stdin: name a FILE")
    if sys.stdin.isatty():
        raise UsageError("stdin is a terminal: name a FILE, or send data to stdin")
    return sys.stdin.buffer  # type: ignore[return-value]  # a stream of bytes that has read1


def to_stdout(pieces: Iterable[Buffer]) -> None:
    """Write data to stdout."""
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.flush()


def must_take_data() -> None:
    """Raise UsageError where stdout is a person's."""
    if sys.stdout is not None and sys.stdout.isatty():
        raise UsageError("stdout is a terminal: send the data on, to a file or a program")


def to_file(path: Path) -> "Target":
    """Open what data is to be written to; raise UsageError where that cannot be."""
    try:
        path = Path(os.path.realpath(path))  # a link stays, what it leads to is written
        if path.is_dir():
            raise UsageError(f"{path}: it is a folder; name a file")
        if path.exists() and not path.is_file():
            return Target(path, path)
        return Target(path, path.with_name(f".meltemi-{uuid4().hex}.part"))
    except FileNotFoundError as error:
        raise UsageError(f"{path.parent}: there is no such folder") from error
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else "not the name of a file"
        raise UsageError(f"{path}: it cannot be written: {told}") from error


class Target:
    """A regular file, which takes its place when it is complete.

    What is no regular file, as a device, is written in place.
    """

    def __init__(self, path: Path, draft: Path) -> None:
        self._path = path
        self._draft = draft
        self._in_place = path == draft
        flags = 0 if self._in_place else os.O_CREAT | os.O_EXCL
        self._fd = os.open(draft, os.O_WRONLY | os.O_CLOEXEC | flags, 0o666)

    def fill(self, pieces: Iterable[Buffer]) -> None:
        """Write all data; zeros take no room in a regular file."""
        size = 0
        for piece in pieces:
            with self._telling():
                if self._in_place or not ZEROS.startswith(piece):
                    _write(self._fd, piece)
                else:
                    os.lseek(self._fd, len(piece), os.SEEK_CUR)
            size += len(piece)
        with self._telling():
            if not self._in_place:
                os.ftruncate(self._fd, size)
                os.fsync(self._fd)
                self._draft.rename(self._path)
            elif self._path.is_block_device():
                os.fsync(self._fd)

    def close(self) -> None:
        """Let go; of what is not complete, nothing stays."""
        os.close(self._fd)
        if not self._in_place:
            self._draft.unlink(missing_ok=True)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = QuotaError if error.errno in FULL else ImageError
            kept = "" if self._in_place else "; nothing of it was kept"
            raise kind(f"{self._path}: writing it failed: {error.strerror}{kept}") from error


def _write(fd: int, piece: Buffer) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]
