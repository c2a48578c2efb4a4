"""The manifest: JSON lines, appended to, of which the last one about an image counts."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from meltemi.errors import ArchiveError, QuotaError
from meltemi.libraries.archive import entries, strictjson
from meltemi.libraries.archive.entries import Entry
from meltemi.libraries.archive.files import Folder, failing, shown, write_all
from meltemi.libraries.archive.layout import MANIFEST

FORMAT: Final = "meltemi-archive"
VERSION: Final = 1

_LINE: Final = 4096
_LIMIT: Final = 512 << 20
_SLACK: Final = 1000


class Manifest:
    """What an archive holds. No two threads may use it at once."""

    def __init__(self, folder: Folder) -> None:
        self.entries: dict[str, Entry] = {}
        self.deleted: set[str] = set()
        self._folder = folder
        self._path = folder.path / MANIFEST
        self._fd = -1
        self._length = 0
        self._lines = 0

    @staticmethod
    def create(folder: Folder) -> None:
        """Write the manifest of an archive that holds nothing."""
        with folder.writing(MANIFEST) as fd:
            write_all(fd, _header())
        folder.sync()

    def load(self, *, writable: bool) -> None:
        """Read the manifest, and leave it open where it shall be written."""
        if self._folder.size(MANIFEST) > _LIMIT:
            raise ArchiveError(f"{shown(self._path)} has more than {_LIMIT} bytes")
        for number, raw in enumerate(self._read(), start=1):
            try:
                (self._check_header if number == 1 else self._take)(strictjson.loads(raw))
            except ValueError as error:
                raise self._damaged(number, error) from error
            self._length += len(raw)
            self._lines += 1
        if not self._lines:
            raise self._damaged(1, "it is missing")
        if writable:
            if self._lines > 2 * (len(self.entries) + len(self.deleted)) + _SLACK:
                self._compact()
            self._fd = self._folder.open_file(MANIFEST, os.O_RDWR)
            with failing(self._path):
                os.ftruncate(self._fd, self._length)

    def put(self, entry: Entry) -> None:
        """Make an image what `entry` says; afterwards that is on the disk."""
        self._append(entry.line())
        self.entries[entry.id] = entry

    def delete(self, image_id: str) -> None:
        """Make an image one that was deleted; afterwards that is on the disk."""
        self._append(entries.deleted_line(image_id))
        del self.entries[image_id]
        self.deleted.add(image_id)

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> Iterator[bytes]:
        fd = self._folder.open_file(MANIFEST)
        with failing(self._path), os.fdopen(fd, "rb") as file:
            # An end without newline was never acknowledged: its writer died over it.
            while (raw := file.readline(_LINE)).endswith(b"\n"):
                yield raw
            if len(raw) == _LINE:
                raise self._damaged(self._lines + 1, f"it has more than {_LINE} bytes")

    def _check_header(self, body: Any) -> None:
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise ValueError(f"it does not name the format {FORMAT}")
        version = body.get("version")
        if version != VERSION or isinstance(version, bool):
            raise ArchiveError(
                f"{shown(self._path)}: the archive has format version {ascii(version)[:20]} and "
                f"this Meltemi reads version {VERSION}; use the Meltemi that wrote it"
            )

    def _take(self, body: Any) -> None:
        image_id, entry = entries.parse(body)
        if image_id in self.deleted:
            raise ValueError(f"{image_id} was deleted before")
        if entry:
            self.entries[image_id] = entry
        else:
            self.entries.pop(image_id, None)
            self.deleted.add(image_id)

    def _append(self, raw: bytes) -> None:
        if self._length + len(raw) > _LIMIT:
            raise QuotaError(f"{shown(self._path)} is full; go on in another archive")
        with failing(self._path):
            try:
                done = 0
                while done < len(raw):
                    done += os.pwrite(self._fd, raw[done:], self._length + done)
                os.fsync(self._fd)
            except OSError:
                # What was not acknowledged must not come to light later.
                with suppress(OSError):
                    os.ftruncate(self._fd, self._length)
                raise
        self._length += len(raw)

    def _compact(self) -> None:
        lines = [_header(), *(entry.line() for entry in self.entries.values())]
        lines += map(entries.deleted_line, sorted(self.deleted))
        with self._folder.writing(MANIFEST) as fd:
            write_all(fd, b"".join(lines))
        self._folder.sync()
        self._length, self._lines = sum(map(len, lines)), len(lines)

    def _damaged(self, number: int, what: object) -> ArchiveError:
        return ArchiveError(
            f"{shown(self._path)}: line {number}: {what}; restore the manifest from another copy"
        )


def _header() -> bytes:
    return strictjson.line({"format": FORMAT, "version": VERSION})
