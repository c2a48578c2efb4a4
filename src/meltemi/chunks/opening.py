"""From what a user writes to an open store."""

from pathlib import Path
from typing import Final

from meltemi.chunks.backends.base import FACTS, Backend
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.index.database import Database
from meltemi.chunks.store import Store
from meltemi.errors import UsageError

BEGUN: Final = frozenset(
    {"lost+found", "tmp", "lock", "index.sqlite", "index.sqlite-shm", "index.sqlite-wal"}
)
"""What may lie in the folder of a store that is yet to be made: its maker may have been killed."""


def open_store(address: str, index: str | None = None, *, create: bool = False) -> Store:
    """Open the chunk store in a folder, or in a bucket given by a URL (`s3://bucket/prefix`).

    `index` is a database URL; a store in a folder has one of its own, `index.sqlite`, otherwise.
    """
    backend: Backend
    if not address:
        raise UsageError("an empty address; name the folder or the bucket of a store")
    if "://" in address:
        if index is None:
            raise UsageError(f"{address}: a store in a bucket needs --index with a database's URL")
        from meltemi.chunks.backends.objects import ObjectBackend  # noqa: PLC0415 - 0.1 s

        backend = ObjectBackend(address)
    else:
        folder = Path(address).absolute()
        if create:
            _prepare(folder)
        elif not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder")
        backend = FolderBackend(folder)
        index = index or f"sqlite:///{folder / 'index.sqlite'}"

    def database() -> Database:
        return Database(index)

    return Store.create(backend, database) if create else Store.open(backend, database)


def _prepare(folder: Path) -> None:
    """Make the folder of a new store; refuse one that holds something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in folder.iterdir()}
    except FileExistsError as error:
        raise UsageError(f"{folder}: it is no folder") from error
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made or read: {error.strerror}") from error
    strangers = names if FACTS not in names else set()
    strangers -= BEGUN
    if strangers:
        raise UsageError(f"{folder}: it is not empty: name a new folder, or an empty one")
