"""The index: how fast blobs are found among millions, and what each takes up."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import log10
from pathlib import Path
from statistics import median
from uuid import uuid4

from blake3 import blake3
from sqlalchemy import func, insert, select

from bench.figures import GIB, MIB, Result, Table, at_least, for_reference, seconds
from bench.store.scale import Bench
from bench.store.shares import shares
from lab import Postgres
from meltemi.chunks.blob import BlobId
from meltemi.chunks.index.blobs import Blobs, seal
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.schema import State, blobs, packs
from meltemi.chunks.index.sessions import Sessions
from meltemi.chunks.pack import Place

_PACK = 512
"""Chunks of 64 KiB in a pack."""

_BULK = 128 * 1024
"""Rows that are loaded in one transaction."""

_RECORDED = 50
"""Packs that are recorded as a put does, to see how long that takes among so many rows."""

_BATCHES = (128, 512)
"""Ids asked for at once: those of 8 MiB, as a put does, and those of a pack."""

_FAR = 100_000_000


@dataclass(frozen=True)
class _State:
    """An index of so many rows: its bytes, seconds for a look-up by batch."""

    rows: int
    size: int
    looks: dict[int, float]


def index(bench: Bench) -> Iterator[Result]:
    """Fill an index in SQLite and in PostgreSQL; look up ids, half of which are known."""
    with bench.fresh() as folder:
        path = folder / "index.sqlite"
        yield from _measure(bench, "SQLite", f"sqlite:///{path}", lambda: _sqlite_size(path))
    with Postgres() as server:
        server.create_database("bench")

        def size() -> int:
            return int(server.execute("SELECT pg_total_relation_size('blobs')", "bench"))

        def settle() -> None:
            # Else it does so by itself, in the middle of what is measured.
            server.execute("VACUUM ANALYZE", "bench")

        yield from _measure(bench, "PostgreSQL", f"{server.url}/bench", size, settle)


def _measure(
    bench: Bench,
    label: str,
    url: str,
    size: Callable[[], int],
    settle: Callable[[], object] = lambda: None,
) -> Iterator[Result]:
    database = Database(url)
    try:
        index, session = Blobs(database), Sessions(database).begin()
        states, before = [], 0
        for rows in bench.scale.rows:
            last = min((rows - before) // 2, _RECORDED * _PACK)
            _load(database, before, rows - last)
            speed = last / seconds(partial(_record, index, session, rows - last, rows))
            yield for_reference(f"{label}: rows entered a second among {rows:,}", speed, "/s", {})
            settle()
            before = rows
            runs = _looks(index, rows, bench)
            for batch, times in runs.items():
                name = f"{label}: look-ups a second among {rows:,}, {batch} at once"
                speeds = {"runs": [1 / taken for taken in times]}
                speed = median(speeds["runs"])
                yield at_least(name, 100_000, speed, "/s", speeds)
            found = {batch: median(times) for batch, times in runs.items()}
            states.append(_State(rows, size(), found))
        yield _table(label, states)
        rows, batch = bench.scale.rows[-1], _BATCHES[0]
        ids = _sample(rows, bench.scale.looked_up, 5)
        title = f"Look-ups in {label} among {rows:,}, {batch} at once"
        yield shares(title, lambda: _look(index, ids, batch))
    finally:
        database.close()


def _load(database: Database, begin: int, end: int) -> None:
    """Enter rows by many packs at once, in the order of their ids.

    Pack by pack, a million chunks would be a matter of minutes, and ten of an hour.
    """
    for first in range(begin, end, _BULK):
        numbers = range(first, min(end, first + _BULK))
        held = [{"id": uuid4().hex, "state": State.LIVE} for _ in numbers[::_PACK]]
        with database.exclusive() as connection:
            connection.execute(insert(packs), held)
            newest = connection.scalar(select(func.max(packs.c.number))) or 0
            oldest = newest - len(held) + 1
            rows = [(_place(n), oldest + (n - first) // _PACK) for n in numbers]
            values = [
                {
                    "id": place.blob,
                    "pack": pack,
                    "offset": place.offset,
                    "stored": place.stored,
                    "length": place.length,
                    "coding": place.coding,
                    "seal": seal(pack, place),
                    "bad": False,
                }
                for place, pack in sorted(rows)
            ]
            connection.execute(insert(blobs), values)


def _record(index: Blobs, session: int, begin: int, end: int) -> None:
    """Enter rows pack by pack, as a put does."""
    for first in range(begin, end, _PACK):
        pack = uuid4().hex
        places = [_place(number) for number in range(first, min(end, first + _PACK))]
        index.announce(session, pack)
        index.record(session, pack, 32 * MIB, places)


def _place(number: int) -> Place:
    return Place(_id(number), number % _PACK * 30_000, 30_000, 65_536, 1)


def _looks(index: Blobs, rows: int, bench: Bench) -> dict[int, list[float]]:
    times: dict[int, list[float]] = {batch: [] for batch in _BATCHES}
    for run in range(bench.scale.runs):
        for batch, taken in times.items():
            ids = _sample(rows, bench.scale.looked_up, run * batch)
            taken.append(_look(index, ids, batch) / len(ids))
    return times


def _sample(rows: int, count: int, seed: int) -> list[BlobId]:
    """Choose ids, of which half are known."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    return [_id(chance.randrange(2 * rows)) for _ in range(count)]


def _look(index: Blobs, ids: Sequence[BlobId], batch: int) -> float:
    begun = time.perf_counter()
    found = 0
    for begin in range(0, len(ids), batch):
        found += len(index.hits(ids[begin : begin + batch]))
    assert 0.4 < found / len(ids) < 0.6
    return time.perf_counter() - begun


def _table(label: str, states: Sequence[_State]) -> Table:
    """Add what 100 million rows would be: bytes grow with rows, times with their logarithm."""
    first, last = states[0], states[-1]
    decades = log10(last.rows / first.rows)
    further = log10(_FAR / last.rows)
    grown = {
        batch: last.looks[batch]
        + max(0.0, last.looks[batch] - first.looks[batch]) / decades * further
        for batch in _BATCHES
    }
    far = _State(_FAR, last.size * _FAR // last.rows, grown)
    rows = [
        [
            f"{state.rows:,}" + (", extrapolated" if state is far else ""),
            f"{state.size / state.rows:.0f}",
            f"{state.size / GIB:.2f}",
            *(f"{1 / state.looks[batch]:,.0f}" for batch in _BATCHES),
        ]
        for state in (*states, far)
    ]
    speeds = [f"look-ups a second, {batch} at once" for batch in _BATCHES]
    about = (
        "Bytes grow with the rows, times by the same step for each tenfold; all of it in memory."
    )
    return Table(f"Index in {label}", ["rows", "bytes a row", "GiB", *speeds], rows, about)


def _sqlite_size(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def _id(number: int) -> BlobId:
    return BlobId(b"\x01" + blake3(number.to_bytes(8, "little")).digest())
