"""Opening archives on chunk stores, in folders and in buckets."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from meltemi.chunks.backends.base import FACTS, Backend
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.index.database import Database
from meltemi.chunks.opening import BEGUN, open_store
from meltemi.chunks.reconcile import reindex
from meltemi.chunks.store import Store
from meltemi.errors import ArchiveError, StoreError, UsageError
from meltemi.libraries.archive.absent import is_absent
from meltemi.libraries.archive.dedup.contents import Contents
from meltemi.libraries.archive.dedup.documents import FOLDER
from meltemi.libraries.archive.dedup.holding import BucketHold, FolderHold, Hold
from meltemi.libraries.archive.dedup.library import DedupArchive, DedupReader
from meltemi.libraries.archive.files import Folder, failing, shown
from meltemi.libraries.base import Library

MARK: Final = "archive.json"
"""The object that tells an archive from any other chunk store."""

_FORMAT: Final = "meltemi-dedup-archive"
_VERSION: Final = 1
_MARK_BYTES: Final = 4096
_INDEX: Final = "index.sqlite"
_NO_INDEX: Final = "a bucket is written with its --index, a database's URL: there its writers meet"


def is_dedup(path: Path) -> bool:
    """Say whether an archive in a folder is one on a chunk store."""
    return (path / FACTS).exists()


def can_begin(place: Path | str) -> bool:
    """Say whether an archive could be begun here."""
    if isinstance(place, Path):
        return is_absent(place, BEGUN)
    backend = _bucket(place)
    try:
        return backend.size(FACTS) is None
    finally:
        backend.close()


def check_index(place: Path | str, index: str | None) -> None:
    """Raise UsageError where an archive cannot be written for want of an index."""
    if isinstance(place, str) and index is None:
        raise UsageError(f"{place}: {_NO_INDEX}")


def open_dedup(place: Path | str, index: str | None, *, name: str, writable: bool) -> Library:
    """Open the archive in a folder or a bucket (by its URL); where it shall be written, make it.

    An archive in a folder has its index there. A bucket's is named by the URL of a database; who
    only reads needs none, and reads the ends of all packs instead.

    Raise `UsageError` where there is none to read, `ArchiveError` where there is another store,
    `BusyError` where another process writes it, what chunk stores raise where it cannot be used.
    """
    with ExitStack() as held:
        contents = open_contents(place, index, held, writable=writable)
        kind = DedupArchive if writable else DedupReader
        place = place.resolve() if isinstance(place, Path) else place
        return kind(name, place, contents, held.pop_all())


def open_contents(
    place: Path | str, index: str | None, held: ExitStack, *, writable: bool
) -> Contents:
    """Open what an archive holds for as long as `held` is, as `open_dedup` does."""
    if isinstance(place, Path):
        store, hold = _open_folder(place.resolve(), held, writable=writable)
    else:
        store, hold = _open_bucket(place, index, held, writable=writable)
    _recognize(store, writable=writable)
    return Contents(store, hold, scratch=not store.is_indexed)


def _open_folder(path: Path, held: ExitStack, *, writable: bool) -> tuple[Store, Hold | None]:
    if writable:
        if not (is_dedup(path) or is_absent(path, BEGUN)):
            raise ArchiveError(
                f"{shown(path)} is not an archive that dump --dedup wrote; name another folder"
            )
        with failing(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.is_dir():
        raise UsageError(f"{shown(path)} is no folder; name one that holds an archive")
    if not (writable or is_dedup(path)):
        raise UsageError(f"{shown(path)} is no archive that dump --dedup wrote; name one that is")
    _refuse_links(path)
    if writable:
        folder = Folder.open(path)
        held.callback(folder.close)
        hold = FolderHold(folder)
        held.callback(hold.close)
        store = open_store(str(path), create=not is_dedup(path))
        held.callback(store.close)
        if not store.is_indexed:  # it is new, as in a copy, or its maker was killed
            reindex(store)
        return store, hold
    # A database is written to also by who reads it.
    if (path / _INDEX).exists() and os.access(path, os.W_OK):
        store = open_store(str(path))
        if store.is_indexed:
            held.callback(store.close)
            return store, None
        store.close()
    return _scanned(FolderBackend(path), held), None


def _open_bucket(
    url: str, index: str | None, held: ExitStack, *, writable: bool
) -> tuple[Store, Hold | None]:
    if index is None:
        if writable:
            check_index(url, index)
        return _scanned(_bucket(url), held), None
    store = open_store(url, index, create=writable and can_begin(url))
    held.callback(store.close)
    if not store.is_indexed:
        raise StoreError(
            f"{url}: {store.database.label} is not its index, or not wholly rebuilt: name the "
            f"right one, or rebuild it (meltemi store reindex {url})"
        )
    if not writable:
        return store, None
    hold = BucketHold(store.sessions)
    held.callback(hold.close)
    return store, hold


def _bucket(url: str) -> Backend:
    from meltemi.chunks.backends.objects import ObjectBackend  # noqa: PLC0415 - 0.1 s

    return ObjectBackend(url)


def _scanned(backend: Backend, held: ExitStack) -> Store:
    """Open a store with an index that is made for this once, and does not know anything yet."""
    folder = held.enter_context(TemporaryDirectory(prefix="meltemi-"))
    store = Store.open(backend, lambda: Database(f"sqlite:///{folder}/{_INDEX}"))
    held.callback(store.close)
    return store


def _recognize(store: Store, *, writable: bool) -> None:
    """See that a store is an archive; make an archive of one that is new."""
    backend = store.backend
    if backend.size(MARK) is None:
        # Its maker was killed before it could say so.
        if writable and not store.heads.known() and not any(backend.names(FOLDER)):
            facts = {"format": _FORMAT, "version": _VERSION}
            backend.write(MARK, json.dumps(facts).encode() + b"\n")
            return
        raise ArchiveError(
            f"{backend.label} is a chunk store and not an archive (it has no {MARK}); "
            "name another place"
        )
    try:
        facts = json.loads(backend.read(MARK, 0, _MARK_BYTES))
        known, version = facts["format"], facts["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            f"{backend.label}: {MARK} is damaged; restore it from another copy"
        ) from error
    if (known, version) != (_FORMAT, _VERSION):
        raise ArchiveError(
            f"{backend.label}: an archive of format {ascii(known)[:40]} {ascii(version)[:20]}, and "
            f"this Meltemi knows {_FORMAT} {_VERSION}; use the Meltemi that wrote it"
        )


def _refuse_links(path: Path) -> None:
    """Raise ArchiveError where a folder holds what is neither file nor folder."""
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        with failing(folder), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    # What a file system has in its root, only its administrator may look into.
                    if (folder, entry.name) != (path, "lost+found"):
                        waiting.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    kind = "a symbolic link" if entry.is_symlink() else "no plain file"
                    raise ArchiveError(
                        f"{shown(Path(entry.path))} is {kind}; an archive must hold none"
                    )
