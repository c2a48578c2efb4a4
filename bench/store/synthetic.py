"""Stores made without images: chunks and manifests put together by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

from meltemi.chunks.blob import BlobId, Buffer
from meltemi.chunks.coding import PLAIN, encode
from meltemi.chunks.cut import Cut
from meltemi.chunks.head import Head
from meltemi.chunks.manifest import Entry
from meltemi.chunks.packing import Packer
from meltemi.chunks.session import Session
from meltemi.chunks.store import Store
from meltemi.chunks.tree import TreeBuilder


class Image:
    """An image that is being made of entries; new chunks are stored as they are."""

    def __init__(self, store: Store, session: int) -> None:
        self._store = store
        self._session = session
        self._packs: set[str] = set()
        self._packer = Packer(
            store.backend,
            store.blobs,
            session,
            store.crowd,
            lambda pack, _places: self._packs.add(pack),
        )
        self._tree = TreeBuilder(Cut.CONTENT, self._keep)
        self._size = 0

    def store(self, blob: BlobId, data: Buffer) -> None:
        """Store a chunk."""
        self._packer.add(blob, PLAIN, data, len(data))

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self._tree.add(entry)
        self._size += entry.length

    def publish(self, name: str) -> Head:
        """Store what is left; give the image its name."""
        root = self._tree.finish()
        self._packer.flush()
        head = Head(name, root, self._size, Cut.CONTENT.label, {})
        self._store.heads.publish(self._session, head, self._packs)
        self._store.backend.write(head.object, head.encode().encode())
        self._store.heads.complete(self._session, head)
        return head

    def close(self) -> None:
        """Let go."""
        self._packer.close()

    def _keep(self, blob: BlobId, data: bytes) -> None:
        if blob not in self._packer.here:
            self._packer.add(blob, *encode(data), len(data))


@contextmanager
def making(store: Store) -> Iterator[Image]:
    """Make an image; it is to be published within the context."""
    with Session(store.sessions) as session:
        image = Image(store, session.number)
        try:
            yield image
        finally:
            image.close()
