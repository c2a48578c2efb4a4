"""Objects as files of a folder, which may be shared by several hosts."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from meltemi.chunks.backends.base import FACTS
from meltemi.chunks.blob import Buffer
from meltemi.errors import DamageError, MeltemiError, MissingError, QuotaError, StoreError

_DRAFTS: Final = "tmp"
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FolderBackend:
    """Keeps objects below a folder; keeps the protocol of `Backend`.

    The folder is never made here: where it is gone, as while its disk is not mounted, a new one
    would take in what is then lost to the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def label(self) -> str:
        """Name the backend for people."""
        return str(self._folder)

    def write(self, name: str, data: Buffer) -> None:
        """Write a file under a temporary name, sync it, rename it, sync its folder."""
        final = self._folder / name
        with self._telling(f"writing {name}"):
            drafts = self._folder / _DRAFTS
            if not drafts.is_dir():  # without it nothing is written: it is enough to look here
                self._must_be_there(None if name == FACTS else FACTS)
            self._make(drafts)
            self._make(final.parent)
            draft, file = self._begin()
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(file, view) :]
                os.fsync(file)
                draft.rename(final)
                _sync_folder(final.parent)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            finally:
                os.close(file)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range of a file."""
        with self._telling(f"reading {name}"), (self._folder / name).open("rb", 0) as file:
            pieces: list[bytes] = []
            while length and (piece := os.pread(file.fileno(), length, offset)):
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def size(self, name: str) -> int | None:
        """Look how long a file is."""
        with self._telling(f"looking for {name}"):
            try:
                return (self._folder / name).stat().st_size
            except FileNotFoundError:
                self._must_be_there()
                return None

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """Walk through a folder."""
        with self._telling(f"listing {folder}"):
            self._must_be_there()
            yield from _files(self._folder / folder, folder)

    def delete(self, name: str) -> None:
        """Delete a file, and see that it stays deleted."""
        path = self._folder / name
        with self._telling(f"deleting {name}"):
            try:
                path.unlink()
            except FileNotFoundError:
                self._must_be_there()
                return
            _sync_folder(path.parent)

    def tidy(self) -> int:
        """Delete the drafts that nobody is writing any more; give how many there were."""
        count = 0
        with self._telling("tidying up"):
            self._must_be_there()
            for path in (self._folder / _DRAFTS).glob("*"):
                # To lock a file of NFS it must be open for writing.
                with suppress(FileNotFoundError, BlockingIOError), path.open("r+b", 0) as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                    count += 1
        return count

    def close(self) -> None:
        """Hold nothing."""

    def _begin(self) -> tuple[Path, int]:
        """Make an empty draft, locked to tell who tidies up that it is being written."""
        while True:
            draft = self._folder / _DRAFTS / uuid4().hex
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file).st_nlink:
                    return draft, file
            except BaseException:
                draft.unlink(missing_ok=True)
                os.close(file)
                raise
            # It was tidied away before it was locked.
            os.close(file)

    def _must_be_there(self, name: str | None = None) -> None:
        """Raise StoreError where the folder is gone, or an object that every store has."""
        if not (self._folder / (name or "")).exists():
            raise StoreError(f"{self.label}: the store is not there; is its disk mounted?")

    def _make(self, folder: Path) -> None:
        """Make a folder, and those that it is in; the store's own has to be there."""
        if folder == self._folder or folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)

    @contextmanager
    def _telling(self, doing: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            self._must_be_there()
            raise MissingError(f"{self.label}: {doing}: it is not there") from error
        except OSError as error:
            kind: type[MeltemiError] = QuotaError if error.errno in _FULL else StoreError
            if error.errno == errno.EIO:  # a disk that cannot read what it has
                kind = DamageError
            raise kind(f"{self.label}: {doing}: {error.strerror}") from error


def _files(folder: Path, name: str) -> Iterator[tuple[str, int]]:
    """Give names and lengths of the files below a folder; what vanishes meanwhile is left out."""
    try:
        found = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in found:
        with suppress(FileNotFoundError):
            if entry.is_dir():
                yield from _files(folder / entry.name, f"{name}/{entry.name}")
            else:
                yield f"{name}/{entry.name}", entry.stat().st_size


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
