"""Putting data into a store: cut, name, look up, compress, pack, publish."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from meltemi.chunks.backends.base import Backend
from meltemi.chunks.blob import LARGEST_CHUNK, BlobId, Buffer, chunk_id, scope_prefix
from meltemi.chunks.coding import encode
from meltemi.chunks.crowd import Crowd
from meltemi.chunks.cut import Cut, Cutter, Piece
from meltemi.chunks.digests import Digests
from meltemi.chunks.head import Head, checked_name
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.heads import Heads
from meltemi.chunks.manifest import Entry
from meltemi.chunks.packing import Packer
from meltemi.chunks.publishing import publish
from meltemi.chunks.session import Session
from meltemi.chunks.tree import TreeBuilder

PIECE: Final = 2**20
"""Bytes that are hashed and cut at once: larger buffers would go back to the system each time."""

_BATCH: Final = 8 * 2**20
"""Bytes of chunks that are looked up and compressed at once, while more are cut; or fewer."""

_MOST_PIECES: Final = 1024
_AT_ONCE: Final = 16
"""Chunks that one task compresses."""

_TINY: Final = 2**10
"""Bytes below which a piece that comes cut already is not worth a chunk of its own."""

_Stretch = tuple[int, bool]
"""How long a piece is, and whether it is a chunk or a run of zeros."""

_Naming = Future[list[tuple[BlobId, Buffer]]]


@dataclass(frozen=True, slots=True)
class Put:
    """What a put did: the head, and the bytes that were new in the store."""

    head: Head
    stored: int


class Writer:
    """One upload: takes in data in order, then gives it a name.

    Nothing of it can be seen before `finish` returns; after `close`, nothing of one that was not
    finished is left for long. With a `scope`, it shares chunks with uploads of that scope alone.
    """

    def __init__(
        self,
        backend: Backend,
        blobs: Blobs,
        heads: Heads,
        session: Session,
        pool: ThreadPoolExecutor,
        *,
        crowd: Crowd,
        cut: Cut,
        hashes: Sequence[str],
        scope: str | None = None,
    ) -> None:
        self._prefix = b"" if scope is None else scope_prefix(scope)
        self._backend = backend
        self._blobs = blobs
        self._heads = heads
        self._session = session
        self._pool = pool
        # Not the pool that compresses: who waits for it must not keep it from working.
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._keeping: Future[None] | None = None
        self._cut = cut
        self._cutter = Cutter(cut, room=len(self._prefix))
        self._digests = Digests(hashes)
        self._crowd = crowd
        self._packer = Packer(backend, blobs, session.number, crowd, self._rely)
        self._segments: dict[BlobId, bytes] = {}
        self._tree = TreeBuilder(cut, self._keep_segment)
        self._relied: set[str] = set()
        self._waiting: list[bytes] = []
        self._held = 0
        self._stretches: list[_Stretch] = []
        self._naming: list[_Naming] = []
        self._cut_bytes = 0
        self._forgotten = False

    def write(self, *data: bytes) -> None:
        """Take in more data, in pieces of any size."""
        self._waiting += data
        self._held += sum(map(len, data))
        if self._held >= PIECE:
            self._take()

    def write_pieces(self, pieces: Iterable[Buffer]) -> None:
        """Take in data that is cut already: each piece, of at most a chunk's length, becomes one.

        But those become one together that follow one another and are tiny, so that what an index
        has to remember is bounded by the data; and what a scope leaves no room for becomes two.
        """
        room = LARGEST_CHUNK - len(self._prefix)
        for chunks in _grouped(_sized(pieces, room)):
            self._session.check()
            for chunk in chunks:
                self._digests.update(chunk)
            self._gather([Piece(len(chunk), memoryview(chunk)) for chunk in chunks])

    def finish(self, name: str) -> Put:
        """Publish what was written under a name; only then is it stored.

        Raise ConflictError where the name is taken, SessionLostError where it has to be put again,
        UsageError where no image may have that name.
        """
        checked_name(name)
        self._take()
        self._gather(self._cutter.finish())
        self._store()
        self._wait()
        hashes = self._digests.finish()
        root = self._tree.finish()
        # The last ones may lead to zeros alone, and would be the same in every scope.
        self._store_segments(anew=bool(self._prefix))
        self._packer.flush()
        head = Head(name, root, self._digests.size, self._cut.label, hashes)
        publish(self._backend, self._heads, self._session.number, head, self._relied)
        self._forgotten = True
        return Put(head, self._packer.stored)

    def close(self) -> None:
        """Let go of the session; give up what is not finished."""
        self._keeper.shutdown(wait=True)
        self._packer.close()
        self._digests.close()
        self._session.close(forgotten=self._forgotten)

    def _take(self) -> None:
        waiting, self._waiting, self._held = self._waiting, [], 0
        self._session.check()
        self._digests.update(self._cutter.hold(*waiting))
        self._gather(self._cutter.cut())

    def _gather(self, pieces: Sequence[Piece]) -> None:
        # Not the pieces: what is to become a chunk of a scope is copied, and need not stay.
        self._stretches += [(piece.length, piece.data is not None) for piece in pieces]
        chunks: list[Buffer] = [piece.data for piece in pieces if piece.data is not None]
        if chunks:
            size = sum(map(len, chunks))
            if size < PIECE // 2:  # views would keep all of what they were cut from
                chunks = [bytes(chunk) for chunk in chunks]
            self._cut_bytes += size
            self._naming.append(self._pool.submit(_name, chunks, self._prefix))
        is_crowded = self._cut_bytes >= self._crowd.share(_BATCH, PIECE)
        if is_crowded or len(self._stretches) >= _MOST_PIECES:
            self._store()

    def _store(self) -> None:
        """Begin to store the pieces that have been gathered, once those before them are."""
        stretches, self._stretches, self._cut_bytes = self._stretches, [], 0
        naming, self._naming = self._naming, []
        self._wait()
        self._keeping = self._keeper.submit(self._keep_pieces, stretches, naming)

    def _wait(self) -> None:
        if self._keeping is not None:
            keeping, self._keeping = self._keeping, None
            keeping.result()

    def _keep_pieces(self, stretches: Sequence[_Stretch], naming: Sequence[_Naming]) -> None:
        """Store pieces, the unknown ones really."""
        chunks = [named for group in naming for named in group.result()]
        self._keep(dict(chunks))
        names = iter([name for name, _ in chunks])
        for length, has_chunk in stretches:
            entry = Entry(length)
            if has_chunk:
                entry = Entry(length, next(names), len(self._prefix))
            self._tree.add(entry)
        if self._segments:
            self._store_segments()

    def _rely(self, pack: str, _places: object) -> None:
        # Of what it holds nothing is kept: all packs of an upload hold more than memory does.
        self._relied.add(pack)

    def _keep_segment(self, blob: BlobId, data: bytes) -> None:
        self._segments[blob] = data

    def _store_segments(self, *, anew: bool = False) -> None:
        segments, self._segments = self._segments, {}
        self._keep(segments, anew=anew)

    def _keep(self, blobs: Mapping[BlobId, Buffer], *, anew: bool = False) -> None:
        """Store blobs that are not here; those that the store has already only if `anew`."""
        here = self._packer.here
        asked = () if anew else (blob for blob in blobs if blob not in here)
        hits = self._blobs.hits(asked)
        self._relied.update(hits.values())
        new = [blob for blob in blobs if blob not in hits and blob not in here]
        coded = self._encoded([blobs[blob] for blob in new])
        for blob, (coding, stored) in zip(new, coded, strict=True):
            self._packer.add(blob, coding, stored, len(blobs[blob]))

    def _encoded(self, blobs: Sequence[Buffer]) -> list[tuple[int, Buffer]]:
        groups = [blobs[i : i + _AT_ONCE] for i in range(0, len(blobs), _AT_ONCE)]
        return [coded for group in self._pool.map(_encode, groups) for coded in group]


def _sized(pieces: Iterable[Buffer], room: int) -> Iterator[Buffer]:
    """Join tiny pieces, and divide those that are too large."""
    tiny: list[Buffer] = []
    for piece in pieces:
        if tiny and (len(piece) >= _TINY or sum(map(len, tiny)) >= _TINY):
            yield b"".join(tiny)
            tiny = []
        if len(piece) < _TINY:
            tiny.append(piece)
            continue
        for begin in range(0, len(piece), room):
            yield memoryview(piece)[begin : begin + room]
    if tiny:
        yield b"".join(tiny)


def _grouped(chunks: Iterable[Buffer]) -> Iterator[list[Buffer]]:
    group: list[Buffer] = []
    size = 0
    for chunk in chunks:
        group.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _name(pieces: Sequence[Buffer], prefix: bytes) -> list[tuple[BlobId, Buffer]]:
    """Make chunks of pieces and name them."""
    chunks = [prefix + piece for piece in pieces] if prefix else pieces
    return [(chunk_id(chunk), chunk) for chunk in chunks]


def _encode(blobs: Sequence[Buffer]) -> list[tuple[int, Buffer]]:
    return [encode(blob) for blob in blobs]
