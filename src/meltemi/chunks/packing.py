"""Filling packs and bringing them to the backend, one on its way while the next is filled."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from meltemi.chunks.backends.base import Backend
from meltemi.chunks.blob import CHUNK, BlobId, Buffer
from meltemi.chunks.crowd import Crowd
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.pack import FULL, LEAST, PackBuilder, Place, pack_object

Come = Callable[[str, list[Place]], None]
"""Takes in a pack that has come: its id and what it holds."""


class Packer:
    """Stores blobs for one session.

    `here` holds what was taken in and may not be in the index yet. `come` hears of each pack that
    is stored, and what it holds, from another thread.
    """

    def __init__(
        self, backend: Backend, index: Blobs, session: int, crowd: Crowd, come: Come
    ) -> None:
        self._backend = backend
        self._index = index
        self._session = session
        self._crowd = crowd
        self._come = come
        self._chunks = PackBuilder()
        self._segments = PackBuilder()
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="pack")
        self._sending: Future[None] | None = None
        self._leaving: list[Place] = []
        self.here: set[BlobId] = set()
        self.stored = 0

    def add(self, blob: BlobId, coding: int, stored: Buffer, length: int) -> None:
        """Take in a blob that is neither known to the index nor here.

        The segments of a manifest are kept together, so that following it takes few reads.
        """
        self.here.add(blob)
        pack = self._chunks if blob[0] == CHUNK else self._segments
        pack.add(blob, coding, stored, length)
        if pack.is_full(self._crowd.share(FULL, LEAST)):
            self._send(pack)

    def flush(self) -> None:
        """See that everything is stored and known to the index."""
        for place, stored in self._segments.blobs():
            self._chunks.add(place.blob, place.coding, stored, place.length)
        self._segments = PackBuilder()
        if self._chunks.places:
            self._send(self._chunks)
        self._wait()

    def close(self) -> None:
        """Let go, whether everything was stored or not."""
        self._sender.shutdown(wait=True)

    def _send(self, pack: PackBuilder) -> None:
        self._wait()
        if pack is self._chunks:
            self._chunks = PackBuilder()
        else:
            self._segments = PackBuilder()
        self._leaving = pack.places
        self._sending = self._sender.submit(self._bring, pack)

    def _wait(self) -> None:
        if self._sending is None:
            return
        sending, self._sending = self._sending, None
        sending.result()
        self.here.difference_update(place.blob for place in self._leaving)
        self._leaving = []

    def _bring(self, pack: PackBuilder) -> None:
        self._index.announce(self._session, pack.pack_id)
        data = pack.close()
        self._backend.write(pack_object(pack.pack_id), data)
        self._index.record(self._session, pack.pack_id, len(data), pack.places)
        self._come(pack.pack_id, pack.places)
        self.stored += len(data)
