"""Where the time of put and get goes: each stage by itself, in one thread."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from bench.figures import MIB
from meltemi.chunks.blob import BlobId, Buffer, chunk_id, has_name
from meltemi.chunks.coding import decode, encode
from meltemi.chunks.cut import Cut, Cutter, Piece
from meltemi.chunks.fetching import stretches
from meltemi.chunks.head import Head
from meltemi.chunks.manifest import Entry, decode_root
from meltemi.chunks.pack import FULL, PackBuilder, pack_object
from meltemi.chunks.session import Session
from meltemi.chunks.store import Store
from meltemi.chunks.tree import TreeBuilder, entries_from

_BATCH: Final = 128
"""Pieces that are looked up and compressed together: about 8 MiB."""

_WINDOW: Final = 256
"""Entries that are fetched together: about 16 MiB."""


class Stages:
    """Adds up CPU seconds of this thread, and seconds, by stage."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = defaultdict(float)
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Measure one part of a stage."""
        begun, used = time.perf_counter(), time.thread_time()
        yield
        self.cpu[stage] += time.thread_time() - used
        self.seconds[stage] += time.perf_counter() - begun


class Put:
    """Puts an image as a writer does, but one step after another; names nothing."""

    def __init__(self, store: Store, session: int) -> None:
        self.stages = Stages()
        self._store = store
        self._session = session
        self._tree = TreeBuilder(Cut.CONTENT, lambda _blob, _data: None)
        self._pack = PackBuilder()
        self._here: set[BlobId] = set()

    def run(self, image: Path) -> Stages:
        """Put all of it."""
        of = self.stages.of
        md5, sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
        cutter, pieces = Cutter(Cut.CONTENT), list[Piece]()
        with image.open("rb", 0) as file:
            while True:
                with of("read"):
                    data = file.read(MIB)
                if not data:
                    break
                with of("md5"):
                    md5.update(data)
                with of("sha512"):
                    sha512.update(data)
                with of("cut"):
                    pieces += cutter.feed(data)
                if len(pieces) >= _BATCH:
                    self._keep(pieces)
                    pieces = []
        self._keep([*pieces, *cutter.finish()])
        self._send()
        with of("manifest"):
            self._tree.finish()
        return self.stages

    def _keep(self, pieces: list[Piece]) -> None:
        of = self.stages.of
        chunks: dict[BlobId, Buffer] = {}
        names: list[BlobId | None] = []
        with of("blake3"):
            for piece in pieces:
                name = None if piece.data is None else chunk_id(piece.data)
                names.append(name)
                if name is not None and piece.data is not None:
                    chunks[name] = piece.data
        with of("index"):
            known = self._store.blobs.hits(blob for blob in chunks if blob not in self._here)
        new = [blob for blob in chunks if blob not in known and blob not in self._here]
        with of("zstd"):
            coded = [encode(chunks[blob]) for blob in new]
        with of("pack"):
            for blob, (coding, stored) in zip(new, coded, strict=True):
                self._pack.add(blob, coding, stored, len(chunks[blob]))
        self._here.update(new)
        with of("manifest"):
            for piece, name in zip(pieces, names, strict=True):
                self._tree.add(Entry(piece.length, name))
        if self._pack.is_full(FULL):
            self._send()

    def _send(self) -> None:
        pack, self._pack = self._pack, PackBuilder()
        if not pack.places:
            return
        of, blobs = self.stages.of, self._store.blobs
        with of("index"):
            blobs.announce(self._session, pack.pack_id)
        with of("pack"):
            data = pack.close()
        with of("write"):
            self._store.backend.write(pack_object(pack.pack_id), data)
        with of("index"):
            blobs.record(self._session, pack.pack_id, len(data), pack.places)


def put_stages(store: Store, image: Path) -> Stages:
    """Put an image without naming it."""
    with Session(store.sessions) as session:
        return Put(store, session.number).run(image)


def get_stages(store: Store, head: Head) -> Stages:
    """Read an image as a reader does, but one step after another."""
    stages = Stages()
    of = stages.of
    entries = entries_from(decode_root(store.fetch(head.manifest)), store.fetcher.fetch_all)
    with Path("/dev/null").open("wb", 0) as nowhere:
        while True:
            with of("manifest"):
                window = list(islice(entries, _WINDOW))
            if not window:
                return stages
            found: dict[BlobId, Buffer] = {}
            with of("index"):
                located = store.blobs.locate(e.chunk for e in window if e.chunk is not None)
            for stretch in stretches(located.values()):
                pack, begin, places = stretch.pack, stretch.begin, stretch.places
                with of("read"):
                    length = stretch.end - begin
                    data = memoryview(store.backend.read(pack_object(pack), begin, length))
                with of("zstd"):
                    for place in places:
                        stored = data[place.offset - begin :][: place.stored]
                        found[place.blob] = decode(place.coding, stored, place.length)
                with of("blake3"):
                    assert all(has_name(found[place.blob], place.blob) for place in places)
            with of("write"):
                for entry in window:
                    nowhere.writelines(_data(entry, found))


def _data(entry: Entry, found: Mapping[BlobId, Buffer]) -> Iterator[Buffer]:
    """Give the bytes of an entry of a whole chunk, or of zeros."""
    if entry.chunk is not None:
        yield found[entry.chunk]
    else:
        for begin in range(0, entry.length, MIB):
            yield bytes(min(MIB, entry.length - begin))
