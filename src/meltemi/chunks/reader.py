"""Reading data out of a store: by range, in order, ahead of who reads, every chunk verified."""

from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from meltemi.chunks.blob import BlobId, Buffer
from meltemi.chunks.fetching import Fetcher
from meltemi.chunks.manifest import Entry, FormatError, Root, decode_root
from meltemi.chunks.tree import entries_at, entries_from, segments_at
from meltemi.errors import DamageError

FIRST_WINDOW: Final = 2**20
"""Bytes that are fetched at first, so that the first comes soon."""

WINDOW: Final = 40 * 2**20
"""Bytes that are fetched at once later: enough that neighbours of a fragmented image meet."""

_MOST_ENTRIES: Final = 2048
"""Entries of one window: chunks of which only little is wanted take as much memory as others."""

_AHEAD: Final = 2
"""Windows on their way."""

ZEROS: Final = bytes(2**20)
_REMEMBERED: Final = 64


def pieces_of(entries: Iterable[Entry], chunks: Mapping[BlobId, Buffer]) -> Iterator[Buffer]:
    """Give the data of entries; FormatError where one is longer than its chunk."""
    for length, chunk, offset in entries:
        if chunk is None:
            for begin in range(0, length, len(ZEROS)):
                yield memoryview(ZEROS)[: length - begin]
        else:
            data = memoryview(chunks[chunk])[offset : offset + length]
            if len(data) != length:
                raise FormatError("an entry is longer than its chunk")
            yield data


class Segments:
    """Verified segments, the last few remembered."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._known: OrderedDict[BlobId, Buffer] = OrderedDict()

    def fetch(self, blobs: Sequence[BlobId]) -> dict[BlobId, Buffer]:
        """Give segments' bytes."""
        found = {blob: self._known.pop(blob) for blob in set(blobs) & self._known.keys()}
        if missing := [blob for blob in blobs if blob not in found]:
            found |= self._fetcher.fetch_all(missing)
        self._known.update(found)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found


class Reader:
    """Reads the data of one manifest."""

    def __init__(self, label: str, root_id: BlobId, fetcher: Fetcher) -> None:
        self._label = label
        self._fetcher = fetcher
        self._segments = Segments(fetcher)
        with self._telling():
            self._root = decode_root(fetcher.fetch(root_id))

    @property
    def root(self) -> Root:
        """Give the top of the manifest."""
        return self._root

    @property
    def size(self) -> int:
        """Give the length of the data."""
        return self._root.size

    def read(self, offset: int = 0, length: int | None = None) -> Generator[Buffer]:
        """Give a range of the data in pieces; what lies behind its end is left out.

        Raise DamageError before the first piece that cannot be had as it was stored.
        """
        end = self.size if length is None else min(self.size, offset + length)
        windows = self._windows(offset, end, lambda: WINDOW)
        ahead: deque[tuple[list[Entry], Future[dict[BlobId, Buffer]]]] = deque()
        # Not the pool that reads: who waits for reads must not keep them from starting.
        with ThreadPoolExecutor(_AHEAD, thread_name_prefix="ahead") as pool:
            try:
                while True:
                    while len(ahead) < _AHEAD and (window := next(windows, None)) is not None:
                        ahead.append((window, pool.submit(self._fetch, window)))
                    if not ahead:
                        return
                    window, fetched = ahead.popleft()
                    yield from self._pieces(window, fetched.result())
            finally:
                for _, fetched in ahead:
                    fetched.cancel()

    def batches(self, offset: int, length: int, most: Callable[[], int]) -> Generator[list[Buffer]]:
        """Give a range of the data in batches of about `most` bytes, asked anew for each.

        Of zeros, which take next to none, there may be more in one.
        A batch is fetched when it is asked for, by who asks: no memory and no thread is taken
        between. Raise DamageError before the first batch that cannot be had as it was stored.
        """
        for window in self._windows(offset, min(self.size, offset + length), most):
            batch: list[Buffer] = []
            for piece in self._pieces(window, self._fetch(window)):
                batch.append(piece)
                if len(batch) >= _MOST_ENTRIES:  # a run of zeros may be as long as the image
                    yield batch
                    batch = []
            if batch:
                yield batch

    def segments(self, places: Sequence[tuple[int, int]]) -> list[Buffer]:
        """Give the bytes of segments of the manifest; LookupError as `tree.segments_at` has it."""
        with self._telling():
            return segments_at(self._root, self._segments.fetch, places)

    def entries(self, ranges: Sequence[tuple[int, int]]) -> list[list[Entry]]:
        """Give what several ranges of the data consist of, as `tree.entries_at` does."""
        with self._telling():
            return entries_at(self._root, self._segments.fetch, ranges)

    def entries_from(self, offset: int, end: int) -> Iterator[Entry]:
        """Give what a range of the data consists of, as `tree.entries_from` does."""
        with self._telling():
            yield from entries_from(self._root, self._segments.fetch, offset, end)

    def _fetch(self, window: list[Entry]) -> dict[BlobId, Buffer]:
        wanted = [entry.chunk for entry in window if entry.chunk is not None]
        with self._telling():
            return self._fetcher.fetch_all(wanted)

    def _windows(self, offset: int, end: int, most: Callable[[], int]) -> Iterator[list[Entry]]:
        """Gather entries whose chunks are fetched together."""
        window: list[Entry] = []
        size, full = 0, min(FIRST_WINDOW, most())
        with self._telling():
            for entry in entries_from(self._root, self._segments.fetch, offset, end):
                window.append(entry)
                size += 0 if entry.chunk is None else entry.length
                if size >= full or len(window) >= _MOST_ENTRIES:
                    yield window
                    window, size, full = [], 0, most()
        if window:
            yield window

    def _pieces(self, window: list[Entry], chunks: dict[BlobId, Buffer]) -> Iterator[Buffer]:
        try:
            yield from pieces_of(window, chunks)
        except FormatError as error:
            raise DamageError(f"{self._label}: {error}") from error

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except FormatError as error:
            raise DamageError(f"{self._label}: its manifest: {error}") from error
        except DamageError as error:
            raise DamageError(f"{self._label}: {error}") from error
