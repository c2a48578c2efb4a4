"""What is too much for one statement, or for memory."""

import resource
import signal
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from meltemi.chunks import marks
from meltemi.chunks import pack as pack_module
from meltemi.chunks.blob import BlobId, Buffer, chunk_id
from meltemi.chunks.cut import BLOCK, Cut
from meltemi.chunks.fetching import Fetcher
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.schema import State, packs
from meltemi.chunks.index.sessions import Sessions
from meltemi.chunks.manifest import Entry
from meltemi.errors import QuotaError
from tests.chunks.faults.rig import Rig, block
from tests.chunks.making import some_chunk

MANY = 300_000
"""Packs of 9 TiB: no database takes as many parameters at once."""


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a disk that is full."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_put_remembers_nothing_of_the_chunks_that_are_stored(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of 2 TiB would take 8 GB."""
    monkeypatch.setattr(pack_module, "FULL", 3 * BLOCK)
    there = tracemalloc.Filter(inclusive=True, filename_pattern=pack_module.__file__)
    held = []
    with rig.store.writing(cut=Cut.FIXED, hashes=()) as writer:
        tracemalloc.start()
        try:
            for number in range(60):
                writer.write(block(number))
                found = tracemalloc.take_snapshot().filter_traces([there])
                held.append(len(found.traces))
        finally:
            tracemalloc.stop()
        writer.finish("large")
    assert len(rig.rows(State.LIVE)) > 20
    assert max(held) < 60


def test_what_is_read_in_vain_between_blobs_is_not_kept(rig: Rig) -> None:
    rig.put("whole", *range(96))
    wanted = [chunk_id(block(number)) for number in range(0, 96, 12)]
    found = rig.store.fetcher.fetch_all(wanted)
    views = [memoryview(data) for data in found.values()]
    kept = {id(view.obj): bytes(view.obj) for view in views}
    assert sum(map(len, kept.values())) == len(wanted) * BLOCK


def test_small_parts_of_many_chunks_are_not_all_fetched_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig.store.writing(cut=Cut.FIXED) as writer:
        writer.write(block(1))
        for number in range(1, 5001):
            writer._tree.add(Entry(1, chunk_id(block(1)), number))
        head = writer.finish("parts").head
    asked: list[int] = []
    fetch_all = Fetcher.fetch_all

    def counting(this: Fetcher, wanted: Sequence[BlobId]) -> dict[BlobId, Buffer]:
        asked.append(len(wanted))
        return fetch_all(this, wanted)

    monkeypatch.setattr(Fetcher, "fetch_all", counting)
    assert b"".join(rig.store.reader(head).read()) == block(1)[1:5001] + block(1)
    assert max(asked) <= 2048


def test_any_number_of_packs_is_retired_at_once(index: str) -> None:
    database = Database(index)
    with database.exclusive() as connection:
        living = [{"id": str(number), "state": State.LIVE} for number in range(MANY)]
        connection.execute(packs.insert(), living)
    session = Sessions(database).begin()
    Sessions(database).lease(session)
    collector = CollectionIndex(database, session)
    collector.retire([row.number for row in collector.packs()])
    rows = collector.packs()
    assert {(row.state, row.noted) for row in rows} == {(State.RETIRING, session)}
    assert len(rows) == MANY
    database.close()


def test_more_marks_than_there_is_room_for_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(marks, "_CACHE_KIB", 64)
    ids = [some_chunk(number) for number in range(10_000)]
    refused = pytest.raises(QuotaError, match="SQLITE_TMPDIR")
    with limited_files(100_000), marks.Marks() as found, refused:
        found.add(ids)
