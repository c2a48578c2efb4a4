"""A chunk store: its backend, its index, and what one can do with them."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from meltemi.chunks.backends.base import Backend
from meltemi.chunks.blob import BlobId
from meltemi.chunks.crowd import Crowd
from meltemi.chunks.cut import Cut
from meltemi.chunks.fetching import Fetcher
from meltemi.chunks.head import Head, checked_name, object_of
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.heads import Heads
from meltemi.chunks.index.sessions import Sessions
from meltemi.chunks.reader import Reader
from meltemi.chunks.session import Session
from meltemi.chunks.writer import Writer
from meltemi.errors import ConflictError, DamageError, StoreError, UsageError, VanishedError

FORMAT: Final = 1
_FACTS: Final = "store.json"
_THREADS: Final = 4

HASHES: Final = ("md5", "sha512")
"""What Glance's clients verify with."""


class Store:
    """An open chunk store; may be used by several threads."""

    def __init__(self, backend: Backend, database: Database) -> None:
        self.backend = backend
        self.blobs = Blobs(database)
        self.heads = Heads(database)
        self.sessions = Sessions(database)
        self.database = database
        self.crowd = Crowd()
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="chunks")
        self.fetcher = Fetcher(backend, self.blobs, self.pool)

    @classmethod
    def create(cls, backend: Backend, database: Callable[[], Database]) -> "Store":
        """Make a store where there is none."""
        if backend.size(_FACTS) is not None:
            raise ConflictError(f"{backend.label}: there is a chunk store already")
        index = database()
        try:
            _must_be_of(index, None, backend)
            identity = uuid4().hex
            facts = {"format": FORMAT, "id": identity}
            backend.write(_FACTS, json.dumps(facts).encode() + b"\n")
            index.bind(identity)
        except BaseException:
            index.close()
            raise
        return cls(backend, index)

    @classmethod
    def open(cls, backend: Backend, database: Callable[[], Database]) -> "Store":
        """Open a store; refuse one of another format, and the index of another store."""
        identity = _identity(backend)
        index = database()
        try:
            _must_be_of(index, identity, backend)
        except BaseException:
            index.close()
            raise
        return cls(backend, index)

    def check(self) -> None:
        """Raise what using it would raise, where its backend or its index is away."""
        _must_be_of(self.database, _identity(self.backend), self.backend)

    @property
    def is_indexed(self) -> bool:
        """Say whether its index was made with it, or rebuilt; a new one would know nothing."""
        return self.database.bound() is not None

    def indexed(self) -> None:
        """Say that the index has been rebuilt."""
        self.database.bind(_identity(self.backend))

    @contextmanager
    def writing(
        self,
        *,
        cut: Cut = Cut.CONTENT,
        hashes: Sequence[str] = HASHES,
        scope: str | None = None,
    ) -> Iterator[Writer]:
        """Begin an upload; what is not finished within the context is given up.

        With a `scope`, it shares data with uploads of that scope alone.
        """
        session = Session(self.sessions)
        try:
            writer = Writer(
                *(self.backend, self.blobs, self.heads, session, self.pool),
                crowd=self.crowd,
                cut=cut,
                hashes=hashes,
                scope=scope,
            )
        except BaseException:
            session.close()
            raise
        try:
            with self.crowd.joined():
                yield writer
        finally:
            writer.close()

    def find(self, name: str) -> Head | None:
        """Give an image by its name, where there is one."""
        return self.heads.get(checked_name(name))

    def head(self, name: str) -> Head:
        """Give an image by its name; raise VanishedError where there is none."""
        if (head := self.find(name)) is None:
            raise VanishedError(f"{self.backend.label}: there is no image {name}")
        return head

    def reader(self, head: Head) -> Reader:
        """Open an image's data for reading."""
        return Reader(f"image {head.name}", head.manifest, self.fetcher)

    def remove(self, name: str) -> Head:
        """Take an image's name away; its data goes with the next collection."""
        head = self.heads.withdraw(checked_name(name))
        if head is None:
            raise VanishedError(f"{self.backend.label}: there is no image {name}")
        self.backend.delete(object_of(head.id))
        self.heads.erase(head.id)
        return head

    def fetch(self, blob: BlobId) -> bytes:
        """Give one verified blob."""
        return self.fetcher.fetch(blob)

    def close(self) -> None:
        """Let go of everything."""
        self.pool.shutdown()
        self.database.close()
        self.backend.close()


def _identity(backend: Backend) -> str:
    """Read who a store is; raise UsageError where there is none."""
    size = backend.size(_FACTS)
    if size is None:
        raise UsageError(f"{backend.label}: there is no chunk store: make one (meltemi store init)")
    line = backend.read(_FACTS, 0, size)
    if len(line) < size:
        raise StoreError(f"{backend.label}: {_FACTS}: only {len(line)} of {size} bytes came")
    try:
        facts = json.loads(line)
        known, identity = facts["format"], str(facts["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamageError(
            f"{backend.label}: {_FACTS} is damaged; restore it from a backup: "
            f'a line with {{"format": {FORMAT}, "id": …}}'
        ) from error
    if known != FORMAT:
        raise StoreError(
            f"{backend.label}: a store of format {known}, which this Meltemi does not know"
        )
    return identity


def _must_be_of(index: Database, identity: str | None, backend: Backend) -> None:
    """Raise UsageError where an index is that of another store."""
    if index.bound() not in (None, identity):
        raise UsageError(
            f"{index.label}: this index is of another store than {backend.label}: name the right "
            "one, or a new one and rebuild it (meltemi store reindex)"
        )
