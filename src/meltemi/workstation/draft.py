"""A file in the making, beside its place and named after its image: what has come stays there."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from meltemi.chunks.blob import BlobId, Buffer, has_name
from meltemi.chunks.cut import BLOCK
from meltemi.errors import BusyError, ImageError, QuotaError, UsageError, printable
from meltemi.workstation.files import FULL, PIECE, ZEROS, LocalFile, next_data, pieces_with_holes

_LONGEST_ID: Final = 100


class Draft:
    """What is to become a file; zeros take no room in it.

    `kind` tells apart drafts that are made in different ways. Raise UsageError where there can be
    no such file, BusyError where another process makes it. Whatever writes raises QuotaError where
    the disk is full, ImageError where it fails otherwise.
    """

    def __init__(self, path: Path, image_id: str, kind: str) -> None:
        path = Path(os.path.realpath(path))  # a link stays, what it leads to is made
        self.label = printable(str(path))
        if path.exists() and not path.is_file():
            raise UsageError(f"{self.label}: it is no file; name a new one, or one to replace")
        name = f".meltemi-{quote(image_id, safe='')[:_LONGEST_ID]}.{kind}"
        self._path, self._draft = path, path.with_name(name)
        try:
            self._fd = self._opened()
        except FileNotFoundError as error:
            raise UsageError(f"{printable(str(path.parent))}: there is no such folder") from error
        except OSError as error:
            raise UsageError(f"{self.label}: it cannot be written: {error.strerror}") from error
        self.is_fresh = not self.size
        """Whether nothing but zeros was there before."""

    @property
    def size(self) -> int:
        """Give its length so far."""
        return os.fstat(self._fd).st_size

    def resize(self, size: int) -> None:
        """Make it longer, by zeros, or shorter."""
        with self._telling():
            os.ftruncate(self._fd, size)

    def write(self, at: int, data: Buffer) -> None:
        """Write data at its place."""
        view = memoryview(data)
        with self._telling():
            for begin in range(0, len(view), BLOCK):
                block = view[begin : begin + BLOCK]
                if ZEROS.startswith(block):
                    self._blank(at + begin, len(block))
                else:
                    self._put(at + begin, block)

    def blank(self, at: int, length: int) -> None:
        """See that there are zeros."""
        with self._telling():
            self._blank(at, length)

    def copy(self, file: LocalFile, offset: int, at: int, length: int) -> None:
        """Take data from another file; zeros where that has ended meanwhile."""
        end = offset + length
        while offset < end:
            data = min(end, file.data_from(offset))
            self.blank(at, data - offset)
            piece = file.read(data, min(PIECE, end - data))
            self.write(at + data - offset, piece)
            at += data - offset + len(piece)
            offset = data + len(piece) if piece else end

    def has(self, at: int, length: int, name: BlobId) -> bool:
        """Say whether a chunk is at its place."""
        with self._telling():
            data = next_data(self._fd, at)
            is_hole = data is None or data >= at + length
            return not is_hole and has_name(os.pread(self._fd, length, at), name)

    def pieces(self) -> Iterator[bytes]:
        """Give all of it in order."""
        with self._telling():
            yield from pieces_with_holes(self._fd, 0, self.size)

    def complete(self) -> None:
        """Let it take its place, safe from a loss of power."""
        with self._telling():
            os.fsync(self._fd)
            self._draft.rename(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Take it away: what it holds is of no use."""
        self._draft.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it; it stays, unless nothing has come."""
        if not os.fstat(self._fd).st_blocks and self._is_there(self._fd):
            self.discard()
        os.close(self._fd)

    def _opened(self) -> int:
        """Open it and keep others away from it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            fd = os.open(self._draft, flags, 0o666)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(fd)
                raise BusyError(f"{self.label}: another process pulls that image here") from error
            if self._is_there(fd):
                return fd
            os.close(fd)  # who had it was just done with it

    def _is_there(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._draft.lstat())
        except FileNotFoundError:
            return False

    def _put(self, at: int, view: memoryview) -> None:
        while view:
            written = os.pwrite(self._fd, view, at)
            at, view = at + written, view[written:]

    def _blank(self, at: int, length: int) -> None:
        if self.is_fresh:
            return
        end = at + length
        while (data := next_data(self._fd, at)) is not None and data < end:
            piece = os.pread(self._fd, min(PIECE, end - data), data)
            if not ZEROS.startswith(piece):
                self._put(data, memoryview(ZEROS)[: len(piece)])
            at = data + len(piece)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = QuotaError if error.errno in FULL else ImageError
            raise kind(
                f"{self.label}: writing it failed: {error.strerror}; what has come stays in "
                f"{self._draft.name} beside it, and the same command goes on from there"
            ) from error
