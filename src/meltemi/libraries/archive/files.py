"""Folders held open, files opened without following links, and files that are written once."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn, Self

from meltemi.errors import ArchiveError, QuotaError

PART: Final = ".part"
"""What the name of a file ends in until the file is complete and on the disk."""

BLOCK: Final = 1 << 20
"""How much data is read, written and hashed at once, in bytes."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# O_NONBLOCK keeps a pipe put in a file's place from holding up open(2).
_SAFE: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def shown(path: Path) -> str:
    """Give a path for a message, with whatever could upset a terminal escaped."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


@contextmanager
def failing(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into an error of `meltemi.errors`."""
    try:
        yield
    except OSError as error:
        where = shown(path)
        if error.errno in _FULL:
            raise QuotaError(f"{where}: no space left; make room and run again") from error
        if error.errno == errno.ELOOP:
            raise ArchiveError(f"{where} is a symbolic link; an archive must hold none") from error
        if error.errno == errno.ENOENT:
            raise ArchiveError(f"{where} is missing; restore it from another copy") from error
        raise ArchiveError(f"{where}: {error.strerror}") from error


class Folder:
    """A folder held open by its descriptor, so that no other can be slipped into its place."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a folder by its path, links in it followed: the user has named it."""
        with failing(path):
            return cls(path, os.open(path, _FOLDER))

    def within(self, name: str) -> "Folder":
        """Open a folder inside this one."""
        with failing(self.path / name):
            info = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
            if not stat.S_ISDIR(info.st_mode):
                self._refuse(name, info)
            return Folder(self.path / name, os.open(name, _FOLDER | _SAFE, dir_fd=self.fd))

    def names(self, *, checked: bool = True) -> list[str]:
        """List the folder; raise ArchiveError at what is neither file nor folder."""
        with failing(self.path):
            # A descriptor of its own, for two that list one would share their position.
            fd = os.open(".", _FOLDER, dir_fd=self.fd)
            try:
                with os.scandir(fd) as entries:
                    return [self._name(entry, checked=checked) for entry in entries]
            finally:
                os.close(fd)

    def has(self, name: str) -> bool:
        """Say whether something of that name is there, whatever it is."""
        with failing(self.path / name), suppress(FileNotFoundError):
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
            return True
        return False

    def size(self, name: str) -> int:
        """Give the size of a plain file in bytes."""
        with failing(self.path / name):
            info = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        if not stat.S_ISREG(info.st_mode):
            self._refuse(name, info)
        return info.st_size

    def open_file(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Open a plain file; raise ArchiveError where it is a link or anything else."""
        with failing(self.path / name):
            fd = os.open(name, flags | _SAFE, 0o600, dir_fd=self.fd)
            info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            os.close(fd)
            self._refuse(name, info)
        return fd

    def read(self, name: str, limit: int) -> bytes:
        """Read a small file whole; raise ArchiveError where it has more than `limit` bytes."""
        fd = self.open_file(name)
        with failing(self.path / name), os.fdopen(fd, "rb") as file:
            # No more memory is taken than there is to read.
            size = os.fstat(fd).st_size
            content = file.read(size + 1) if size <= limit else b""
        if max(size, len(content)) > limit:
            where = shown(self.path / name)
            raise ArchiveError(f"{where} has more than {limit} bytes; restore it from another copy")
        return content

    @contextmanager
    def writing(self, name: str) -> Iterator[int]:
        """Write a file under a temporary name; it is on the disk before it gets its own."""
        part = f"{name}{PART}"
        with failing(self.path / name):
            self.remove(part)
            fd = self.open_file(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                try:
                    yield fd
                    os.fsync(fd)
                finally:
                    os.close(fd)
                self.rename(part, name)
            except BaseException:
                with suppress(OSError):
                    self.remove(part)
                raise

    def rename(self, old: str, new: str) -> None:
        """Give a file its name; a crash may undo it until `sync`."""
        os.rename(old, new, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def remove(self, name: str) -> None:
        """Remove a file; no error where there is none."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def sync(self) -> None:
        """Make the names in the folder last."""
        with failing(self.path):
            os.fsync(self.fd)

    def close(self) -> None:
        """Let go of the folder; a second time does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _name(self, entry: os.DirEntry[str], *, checked: bool) -> str:
        plain = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
        if checked and not plain:
            self._refuse(entry.name, entry.stat(follow_symlinks=False))
        return entry.name

    def _refuse(self, name: str, info: os.stat_result) -> NoReturn:
        kind = "a symbolic link" if stat.S_ISLNK(info.st_mode) else "no plain file"
        raise ArchiveError(f"{shown(self.path / name)} is {kind}; an archive must hold none")


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write everything, however little the system takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
