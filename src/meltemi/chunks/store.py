"""A chunk store: its backend, its index, and what one can do with them."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from meltemi.chunks.backends.base import Backend
from meltemi.chunks.blob import BlobId
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
from meltemi.errors import ConflictError, MissingError, StoreError, UsageError, VanishedError

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
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="chunks")
        self.fetcher = Fetcher(backend, self.blobs, self.pool)

    @classmethod
    def create(cls, backend: Backend, database: Callable[[], Database]) -> "Store":
        """Make a store where there is none."""
        if backend.size(_FACTS) is not None:
            raise ConflictError(f"{backend.label}: there is a chunk store already")
        facts = {"format": FORMAT, "id": uuid4().hex}
        backend.write(_FACTS, json.dumps(facts).encode() + b"\n")
        return cls(backend, database())

    @classmethod
    def open(cls, backend: Backend, database: Callable[[], Database]) -> "Store":
        """Open a store; refuse one of another format."""
        try:
            raw = backend.read(_FACTS, 0, backend.size(_FACTS) or 0)
            found = json.loads(raw).get("format") if raw else None
        except MissingError:
            found = None
        except (ValueError, AttributeError) as error:
            raise StoreError(f"{backend.label}: {_FACTS} is damaged: {error}") from error
        if found is None:
            raise UsageError(
                f"{backend.label}: there is no chunk store: make one (meltemi store init)"
            )
        if found != FORMAT:
            raise StoreError(
                f"{backend.label}: a store of format {found}, which this Meltemi does not know"
            )
        return cls(backend, database())

    @contextmanager
    def writing(
        self, *, cut: Cut = Cut.CONTENT, hashes: Sequence[str] = HASHES
    ) -> Iterator[Writer]:
        """Begin an upload; what is not finished within the context is given up."""
        session = Session(self.sessions)
        writer = Writer(
            self.backend, self.blobs, self.heads, session, self.pool, cut=cut, hashes=hashes
        )
        try:
            yield writer
        finally:
            writer.close()

    def head(self, name: str) -> Head:
        """Give an image by its name; raise VanishedError where there is none."""
        if (head := self.heads.get(checked_name(name))) is None:
            raise VanishedError(f"{self.backend.label}: no image of the name {name}")
        return head

    def reader(self, head: Head) -> Reader:
        """Open an image's data for reading."""
        return Reader(f"image {head.name}", head.manifest, self.fetcher)

    def remove(self, name: str) -> Head:
        """Take an image's name away; its data goes with the next collection."""
        head = self.heads.withdraw(checked_name(name))
        if head is None:
            raise VanishedError(f"{self.backend.label}: no image of the name {name}")
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
