"""Marks: the blobs that something needs, kept on disk so that memory does not grow."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from meltemi.chunks.blob import BlobId
from meltemi.chunks.fetching import Fetcher
from meltemi.chunks.head import Head
from meltemi.chunks.manifest import FormatError, Segment, decode_root, decode_segment
from meltemi.errors import DamageError, QuotaError

_BATCH: Final = 500
_CACHE_KIB: Final = 4 * 2**10
_SEGMENTS: Final = 64
"""Segments that are read at once."""


class Marks:
    """A set of blobs in a scratch database."""

    def __init__(self) -> None:
        # A file without a name in the folder for such: nothing stays behind, however it ends.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE marks (id BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def known(self, ids: Iterable[BlobId]) -> set[BlobId]:
        """Give those that are marked."""
        found: set[BlobId] = set()
        for batch in _batches(ids):
            holders = ",".join("?" * len(batch))
            query = f"SELECT id FROM marks WHERE id IN ({holders})"  # noqa: S608 - only marks
            found.update(BlobId(row[0]) for row in self._database.execute(query, batch))
        return found

    def add(self, ids: Iterable[BlobId]) -> list[BlobId]:
        """Mark blobs; give those that were not marked before, in their order."""
        wanted = list(dict.fromkeys(ids))
        known = self.known(wanted)
        new = [blob for blob in wanted if blob not in known]
        try:
            self._database.executemany("INSERT INTO marks VALUES (?)", ([blob] for blob in new))
        except sqlite3.Error as error:
            raise QuotaError(
                f"the folder for temporary files takes no more ({error}): make room there, or name "
                "another one in SQLITE_TMPDIR"
            ) from error
        return new

    def __iter__(self) -> Iterator[Sequence[BlobId]]:
        """Give all that is marked, in batches."""
        last = b""
        query = "SELECT id FROM marks WHERE id > ? ORDER BY id LIMIT ?"
        while batch := [BlobId(row[0]) for row in self._database.execute(query, (last, _BATCH))]:
            last = batch[-1]
            yield batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()


def mark_head(head: Head, fetcher: Fetcher, marks: Marks) -> None:
    """Mark everything that an image needs; what others need too is not read again.

    Raise DamageError where a part of its manifest cannot be read: nobody knows what it needs then.
    """
    try:
        if not marks.add([head.manifest]):
            return
        root = decode_root(fetcher.fetch(head.manifest))
        _mark_below(root.top, fetcher, marks)
    except (DamageError, FormatError) as error:
        raise DamageError(f"image {head.name}: its manifest: {error}") from error


def _mark_below(segment: Segment, fetcher: Fetcher, marks: Marks) -> None:
    marks.add(entry.chunk for entry in segment.entries if entry.chunk is not None)
    lengths = {child.segment: child.length for child in segment.children}
    new = marks.add(lengths)
    for begin in range(0, len(new), _SEGMENTS):
        group = new[begin : begin + _SEGMENTS]
        found = fetcher.fetch_all(group)
        for blob in group:
            below = decode_segment(bytes(found[blob]), length=lengths[blob])
            if below.level != segment.level - 1:  # so that nobody can make it descend for ever
                raise FormatError("a segment on the wrong level")
            _mark_below(below, fetcher, marks)


def _batches(ids: Iterable[BlobId]) -> Iterator[Sequence[BlobId]]:
    every = list(ids)
    for begin in range(0, len(every), _BATCH):
        yield every[begin : begin + _BATCH]
