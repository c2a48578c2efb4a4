"""Files of this machine as data of images: read in order or anywhere, holes for nothing."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from meltemi.errors import ImageError, UsageError, printable

PIECE: Final = 2**20
"""Bytes that are read at once."""

ZEROS: Final = bytes(PIECE)
FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors that say that there is no room."""


class LocalFile:
    """A regular file, or a block device, whose data can be read more than once; `size` in bytes.

    Raise UsageError where it cannot be opened or is neither. Whatever reads raises ImageError.
    """

    def __init__(self, path: Path) -> None:
        self.label = printable(str(path))
        try:
            # What has no data to be read again, as a pipe, is not waited for.
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise UsageError(f"{self.label}: there is no such file") from error
        except (OSError, ValueError) as error:
            told = error.strerror if isinstance(error, OSError) else "not the name of a file"
            raise UsageError(f"{self.label}: it cannot be read: {told}") from error
        self._before = os.fstat(self._fd)
        if not (self._is_regular or stat.S_ISBLK(self._before.st_mode)):
            self.close()
            raise UsageError(f"{self.label}: it is neither a file nor a disk; name one")
        self.size = os.lseek(self._fd, 0, os.SEEK_END)

    @property
    def is_changed(self) -> bool:
        """Say whether somebody wrote to it since it was opened; of a device that cannot be seen."""
        now, before = os.fstat(self._fd), self._before
        return self._is_regular and (now.st_mtime_ns, now.st_size) != (
            before.st_mtime_ns,
            before.st_size,
        )

    def pieces(self) -> Iterator[bytes]:
        """Give all data in order."""
        with self._telling():
            if self._is_regular:
                yield from pieces_with_holes(self._fd, 0, self.size)
                return
            position = 0
            while position < self.size and (piece := os.pread(self._fd, PIECE, position)):
                position += len(piece)
                yield piece

    def read(self, offset: int, length: int) -> bytes:
        """Give some data; less than asked for where the file has ended meanwhile."""
        with self._telling():
            return os.pread(self._fd, length, offset)

    def data_from(self, offset: int) -> int:
        """Give where there is data from a place on: what is before it is a hole."""
        if not self._is_regular:
            return offset
        with self._telling():
            found = next_data(self._fd, offset)
            return self.size if found is None else found

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)

    @property
    def _is_regular(self) -> bool:
        return stat.S_ISREG(self._before.st_mode)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ImageError(f"{self.label}: reading it failed: {error.strerror}") from error


def pieces_with_holes(file: int, position: int, size: int) -> Iterator[bytes]:
    """Give the data of a regular file of that size; of holes zeros, for which nothing is read."""
    while position < size:
        hole = os.lseek(file, position, os.SEEK_HOLE)
        while position < hole and (piece := os.pread(file, min(PIECE, hole - position), position)):
            position += len(piece)
            yield piece
        data = next_data(file, position)
        end = size if data is None else data
        while position < end:
            zeros = ZEROS[: end - position]
            position += len(zeros)
            yield zeros


def next_data(file: int, position: int) -> int | None:
    """Give where a regular file has data from a position on; None where it has none any more."""
    try:
        return os.lseek(file, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
