"""Opening a folder as whatever kind of archive it is."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive import layout
from meltemi.libraries.archive.contents import Contents
from meltemi.libraries.archive.files import PART, Folder, failing, shown
from meltemi.libraries.archive.legacy import LegacyArchive
from meltemi.libraries.archive.lock import lock
from meltemi.libraries.archive.manifest import Manifest
from meltemi.libraries.archive.reader import ArchiveReader
from meltemi.libraries.archive.writer import Archive
from meltemi.libraries.base import Library

# What a killed first run may leave before the manifest is there, and what a file system brings.
_EMPTY: Final = frozenset({layout.LOCK, layout.IMAGES, f"{layout.MANIFEST}{PART}", "lost+found"})


def open_archive(path: Path, *, name: str, writable: bool) -> Library:
    """Open the archive in a folder; where it shall be written, make folder and archive.

    A folder that glance-replicator wrote can be read. Raise `UsageError` where the folder to
    read is absent or the one to write is glance-replicator's, `ArchiveError` where a folder is
    no archive, `BusyError` where another process writes the archive (or, for writing, uses it).
    Contents are looked at later, at the first use.
    """
    try:
        path = path.resolve()
        if writable:
            _make(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{shown(path)}: {error}; name a folder") from error
    if not path.is_dir():
        hint = _hint([path.name])
        raise UsageError(f"{shown(path)} is no folder; name one that holds an archive{hint}")
    root = Folder.open(path)
    try:
        return _open(root, name, writable=writable)
    except BaseException:
        root.close()
        raise


def _open(root: Folder, name: str, *, writable: bool) -> Library:
    where = shown(root.path)
    names = set(root.names(checked=False))
    if layout.MANIFEST not in names:
        if any(map(layout.is_uuid, names)):
            if writable:
                raise UsageError(
                    f"{where} was written by glance-replicator and can only be read; "
                    "name another folder"
                )
            return LegacyArchive(name, root)
        if not writable or names - _EMPTY:
            raise ArchiveError(
                f"{where} is not an archive (it has no {layout.MANIFEST}); name another folder"
                f"{_hint(names)}"
            )
    held = lock(root, exclusive=writable)
    try:
        if writable and not root.has(layout.MANIFEST):
            _begin(root)
        contents = Contents(root, writable=writable)
    except BaseException:
        if held >= 0:
            os.close(held)
        raise
    kind = Archive if writable else ArchiveReader
    return kind(name, root.path, contents, held)


def _hint(names: Iterable[str]) -> str:
    """Say what to do with sets of bundles, where there are some."""
    if any(name.endswith(layout.SET) for name in names):
        return "; meltemi bundle apply brings a set of bundles into one"
    return ""


def _make(path: Path) -> None:
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in made:
        parent = Folder.open(folder.parent)
        parent.sync()
        parent.close()


def _begin(root: Folder) -> None:
    with failing(root.path):
        if not root.has(layout.IMAGES):
            os.mkdir(layout.IMAGES, mode=0o700, dir_fd=root.fd)
    images = root.within(layout.IMAGES)
    names = images.names()
    images.close()
    if names:
        raise ArchiveError(
            f"{shown(root.path / layout.MANIFEST)} is missing; restore it from another copy"
        )
    Manifest.create(root)
