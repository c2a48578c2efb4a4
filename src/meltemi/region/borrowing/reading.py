"""Reading an image that borrows: what is here and what is lent, in order, some of it ahead."""

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, contextmanager
from functools import partial
from threading import Lock
from typing import Final, NamedTuple, Protocol, TypeVar

import stamina

from meltemi.chunks.blob import BlobId, Buffer, has_name
from meltemi.chunks.exchange.batch import (
    LARGEST_BATCH,
    MOST_PIECES,
    BatchError,
    decode_batch,
)
from meltemi.chunks.gathering import gather
from meltemi.chunks.manifest import Entry, FormatError, Root, decode_root
from meltemi.chunks.reader import ZEROS, Reader
from meltemi.chunks.store import Store
from meltemi.chunks.tree import Fetch, segments_at, whole_entries
from meltemi.errors import (
    DamageError,
    InterruptedTransfer,
    MeltemiError,
    UnavailableError,
    is_passing,
)
from meltemi.region.borrowing.layout import (
    TRAILER,
    Description,
    Source,
    Stretch,
    decode_description,
)
from meltemi.region.borrowing.peer import AWAY, Peer

_T = TypeVar("_T")

_LEAST: Final = 2**20
"""Bytes that are read at once at least: a peer may be far away."""

_MOST_STEPS: Final = 1024
"""Stretches that are read at once."""

_TOGETHER: Final = 16 * 2**20
_EDGES: Final = 128 * 2**10
"""Bytes of ranges that are read at once, and what each counts for besides its own: of the chunks at
its ends, all is fetched.
"""

_REMEMBERED: Final = 32
"""Images of which it is remembered how they are put together."""

_ATTEMPTS: Final = 4


class InThread(Protocol):
    """Does in a thread what blocks."""

    async def __call__(self, work: Callable[[], _T]) -> _T:
        """Do it, and give what it gives."""


class _Lent(NamedTuple):
    """A chunk at the peer: where it is in this image, and in the one that is held there."""

    at: int
    entry: Entry
    offset: int


class _Window(NamedTuple):
    """What is read at once: stretches, and where in the data each begins; chunks of the peer."""

    steps: Sequence[tuple[int, Stretch]]
    lent: Sequence[_Lent]


class _Open(NamedTuple):
    description: Description
    reader: Reader


class BorrowedImages:
    """Reads images that borrow, out of a store and from peers; what blocks is done `in_thread`."""

    def __init__(
        self,
        store: Store,
        peers: Mapping[str, Peer],
        in_thread: InThread,
    ) -> None:
        self._store = store
        self._peers = peers
        self._in_thread = in_thread
        self._known: OrderedDict[str, Description] = OrderedDict()
        self._lock = Lock()

    def description(self, content: str) -> Description:
        """Tell how an image is put together; blocks. VanishedError where it was let go."""
        return self._opened(content).description

    async def read(
        self, content: str, first: int, length: int | None, share: Callable[[], int]
    ) -> AsyncGenerator[Buffer]:
        """Give a range of the data in pieces, every chunk verified; close it when done.

        Raise UnavailableError where the peer does not give what it has.
        """
        opened = await self._in_thread(lambda: self._opened(content))
        size = opened.description.size
        end = size if length is None else min(size, first + length)
        async with aclosing(self._windows(content, opened, first, end, share)) as windows:
            async for pieces in _ahead(windows):
                for piece in pieces:
                    yield piece

    def root(self, content: str) -> tuple[BlobId, bytes]:
        """Give the name and the bytes of the root of an image's manifest; blocks."""
        opened = self._opened(content)
        name, _ = opened.description.segments[0]
        return name, _segment(opened, name)

    def segments(self, content: str, places: Sequence[tuple[int, int]]) -> Sequence[Buffer]:
        """Give segments of an image's manifest, as `tree.segments_at` does; blocks."""
        opened = self._opened(content)
        with _telling():
            return segments_at(*_manifest(opened), places)

    def parted(
        self, content: str, ranges: Sequence[tuple[int, int]]
    ) -> tuple[Sequence[tuple[int, int]], int]:
        """Tell where in what is here ranges of an image are, and how much of them is not; blocks.

        What is here is the data of its content.
        """
        description = self._opened(content).description
        steps = [one for _, one in _steps(description, ranges)]
        own = [(one.offset, one.length) for one in steps if one.source is Source.OWN]
        return own, sum(one.length for one in steps if one.source is Source.LENT)

    async def pieces(self, content: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Give several ranges of the data, each told by its offset and its length, as `read` does.

        It takes memory for all of them.
        """
        opened = await self._in_thread(lambda: self._opened(content))
        found: list[bytes] = []
        for group in _grouped(ranges):
            steps = _steps(opened.description, group)
            window = await self._in_thread(partial(_window, opened, steps))
            blocks = await self._filled(content, opened, window)
            found += await self._in_thread(partial(_divided, blocks, group))
        return found

    async def _windows(
        self, content: str, opened: _Open, first: int, end: int, share: Callable[[], int]
    ) -> AsyncGenerator[list[Buffer]]:
        most = _LEAST
        while first < end:
            plan = partial(_planned, opened, first, end, most)
            window = await self._in_thread(plan)
            last = window.steps[-1]
            if len(window.steps) == 1 and last[1].source is None:
                for begin in range(0, last[1].length, len(ZEROS)):
                    yield [memoryview(ZEROS)[: last[1].length - begin]]
            else:
                yield await self._filled(content, opened, window)
            first = last[0] + last[1].length
            most = max(_LEAST, share())

    async def _filled(self, content: str, opened: _Open, window: _Window) -> list[Buffer]:
        chunks: dict[int, Buffer] = {}
        lent = [one for one in window.lent if one.entry.chunk is not None]
        for group in _batches(lent):
            found = await self._borrowed(content, opened.description, group)
            chunks.update(zip((one.at for one in group), found, strict=True))
        return await self._in_thread(partial(self._joined, opened.reader, window, chunks))

    async def _borrowed(
        self, content: str, description: Description, lent: Sequence[_Lent]
    ) -> Sequence[Buffer]:
        """Give chunks that the peer has, each held against its name."""
        peer = self._peers.get(description.region)
        if peer is None:
            raise UnavailableError(
                f"data {content}: it borrows from {description.region}, which is not among peers",
                told=AWAY,
            )
        ranges = [(one.offset, one.entry.length) for one in lent]
        try:
            async for attempt in stamina.retry_context(
                on=is_passing, attempts=_ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=2.0
            ):
                with attempt:
                    frame = await peer.batch(description.hold, ranges)
                    return await self._in_thread(partial(_verified, peer.name, frame, lent))
        except UnavailableError:
            raise
        except MeltemiError as error:
            raise UnavailableError(
                f"data {content}: {peer.name} does not give what it holds in image "
                f"{description.hold}: {error}",
                told=AWAY,
            ) from error
        raise AssertionError("a retry context ends with a result or an error")

    def _joined(
        self, reader: Reader, window: _Window, chunks: Mapping[int, Buffer]
    ) -> list[Buffer]:
        own = [(one.offset, one.length) for _, one in window.steps if one.source is Source.OWN]
        mine = gather(self._store.fetcher, reader.entries(own)) if own else iter(())
        starts = [one.at for one in window.lent]
        pieces: list[Buffer] = []
        for at, (length, source, _) in window.steps:
            if source is Source.OWN:
                pieces.append(next(mine))
            elif source is Source.LENT:
                number = bisect_right(starts, at) - 1
                pieces += _of_chunks(window.lent[number:], chunks, at, at + length)
            else:
                pieces += _zeros(length)
        return pieces

    def _opened(self, content: str) -> _Open:
        """Open an image; a reader is for one who reads."""
        reader = self._store.reader(self._store.head(content))
        with self._lock:
            known = self._known.pop(content, None)
        description = known or _described(content, reader)
        with self._lock:
            self._known[content] = description
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return _Open(description, reader)


def _described(content: str, reader: Reader) -> Description:
    end = reader.size - TRAILER
    length = int.from_bytes(_bytes(reader, end, TRAILER), "little") if end > 0 else 0
    if not 0 < length <= end:
        raise DamageError(f"data {content}: not that of an image that borrows")
    return decode_description(_bytes(reader, end - length, length))


def _bytes(reader: Reader, offset: int, length: int) -> bytes:
    batches = reader.batches(offset, length, lambda: length)
    return b"".join(piece for batch in batches for piece in batch)


def _planned(opened: _Open, first: int, end: int, most: int) -> _Window:
    """Choose what is read next: about so many bytes, and zeros, which take none."""
    description = opened.description
    steps: list[tuple[int, Stretch]] = []
    size = 0
    for at, stretch in description.between(first, end):
        if stretch.source is None and stretch.length > most:
            if not steps:
                steps.append((at, stretch))
            break
        used = stretch
        if stretch.source is not None:
            used = stretch._replace(length=min(stretch.length, most - size))
            size += used.length
        steps.append((at, used))
        if size >= most or len(steps) >= _MOST_STEPS:
            break
    return _window(opened, steps)


def _window(opened: _Open, steps: Sequence[tuple[int, Stretch]]) -> _Window:
    wanted = [(at, one.length) for at, one in steps if one.source is Source.LENT]
    return _Window(steps, _located(opened, wanted) if wanted else [])


def _steps(
    description: Description, ranges: Iterable[tuple[int, int]]
) -> list[tuple[int, Stretch]]:
    """Give the stretches of several ranges, and where in the data each begins."""
    return [
        step for offset, length in ranges for step in description.between(offset, offset + length)
    ]


def _grouped(ranges: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Group ranges that are read together, as far as memory allows."""
    group: list[tuple[int, int]] = []
    size = 0
    for one in ranges:
        group.append(one)
        size += one[1] + _EDGES
        if size >= _TOGETHER:
            yield group
            group, size = [], 0
    if group:
        yield group


def _divided(blocks: Sequence[Buffer], ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Divide what was read of several ranges."""
    data, at, found = memoryview(b"".join(blocks)), 0, []
    for _, length in ranges:
        found.append(bytes(data[at : at + length]))
        at += length
    return found


def _batches(lent: Sequence[_Lent]) -> Iterator[list[_Lent]]:
    """Group chunks that a peer gives at once."""
    group: list[_Lent] = []
    size = 0
    for one in lent:
        if group and (len(group) == MOST_PIECES or size + one.entry.length > LARGEST_BATCH):
            yield group
            group, size = [], 0
        group.append(one)
        size += one.entry.length
    if group:
        yield group


def _located(opened: _Open, ranges: Sequence[tuple[int, int]]) -> list[_Lent]:
    """Tell which chunks ranges consist of, and where each is at the peer."""
    description = opened.description
    with _telling():
        found = list(whole_entries(*_manifest(opened), ranges))
    lent = []
    for at, entry in found:
        number = bisect_right(description.starts, at) - 1
        stretch = description.stretches[number]
        lent.append(_Lent(at, entry, stretch.offset + at - description.starts[number]))
    return lent


def _manifest(opened: _Open) -> tuple[Root, Fetch]:
    """Give the root of an image's manifest, and what reads its segments."""

    def fetch(names: Sequence[BlobId]) -> Mapping[BlobId, Buffer]:
        return {name: _segment(opened, name) for name in names}

    return decode_root(_segment(opened, opened.description.segments[0][0])), fetch


def _segment(opened: _Open, name: BlobId) -> bytes:
    """Read a segment from where it is, after the own data."""
    description, reader = opened
    if name not in description.places:
        raise FormatError(f"there is no segment {name.hex()}")
    at, length = description.places[name]
    return _bytes(reader, description.own + at, length)


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        raise DamageError(f"an image that borrows: its manifest: {error}") from error


def _verified(peer: str, frame: bytes, lent: Sequence[_Lent]) -> Sequence[Buffer]:
    """Take chunks out of a batch; InterruptedTransfer unless they are what was asked for."""
    try:
        found = decode_batch(frame)
    except BatchError as error:
        raise InterruptedTransfer(f"{peer}: {error}") from error
    if len(found) != len(lent):
        raise InterruptedTransfer(f"{peer}: {len(found)} chunks came, {len(lent)} were asked for")
    for piece, one in zip(found, lent, strict=True):
        if one.entry.chunk is None or not has_name(piece, one.entry.chunk):
            raise InterruptedTransfer(f"{peer}: other data came than was asked for")
    return found


def _of_chunks(
    lent: Sequence[_Lent], chunks: Mapping[int, Buffer], first: int, end: int
) -> list[Buffer]:
    """Give a range of the data out of the chunks that it lies in."""
    pieces: list[Buffer] = []
    for at, entry, _ in lent:
        if at >= end:
            break
        begin, stop = max(first, at), min(end, at + entry.length)
        if entry.chunk is None:
            pieces += _zeros(stop - begin)
        else:
            pieces.append(memoryview(chunks[at])[begin - at : stop - at])
    return pieces


def _zeros(length: int) -> list[Buffer]:
    return [memoryview(ZEROS)[: length - at] for at in range(0, length, len(ZEROS))]


async def _ahead(windows: AsyncGenerator[list[Buffer]]) -> AsyncIterator[list[Buffer]]:
    """Have the next one made while one is taken."""
    coming: asyncio.Future[list[Buffer] | None] = asyncio.ensure_future(anext(windows, None))
    try:
        while (found := await asyncio.shield(coming)) is not None:
            coming = asyncio.ensure_future(anext(windows, None))
            yield found
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
