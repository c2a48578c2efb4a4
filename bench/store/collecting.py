"""Garbage collection of a large store of which half is dead."""

import os
from collections.abc import Iterator
from pathlib import Path

from bench.children import Run, meltemi
from bench.figures import MIB, Figure, Result, at_most, for_reference
from bench.store.scale import Bench
from bench.store.shares import shares
from bench.store.synthetic import making
from meltemi.chunks.blob import chunk_id
from meltemi.chunks.collector import collect
from meltemi.chunks.manifest import Entry
from meltemi.chunks.opening import open_store

_CHUNK = 4096
"""Bytes of a chunk: small, so that it is their number that counts."""

_MINUTES = 10


def collection(bench: Bench) -> Iterator[Result]:
    """Collect stores of fewer and more chunks, where every other chunk of each pack is dead."""
    runs = {}
    for count in bench.scale.chunks:
        with bench.fresh() as folder:
            _make(folder / "store", count)
            meltemi("store", "delete", folder / "store", "dead")
            runs[count] = meltemi("store", "gc", folder / "store")
            stored = sum(path.stat().st_size for path in (folder / "store/packs").rglob("*/*"))
        yield from _figures(count, runs[count], stored)
    few, many = bench.scale.chunks
    with bench.fresh() as folder:
        _make(folder / "store", few)
        meltemi("store", "delete", folder / "store", "dead")
        yield shares(f"gc of {few:,} chunks", lambda: _collect(folder / "store"))
    peaks = {f"{count:,} chunks": [run.peak / MIB] for count, run in runs.items()}
    share = runs[many].peak / runs[few].peak
    name = f"gc: peak memory with {many:,} chunks against {few:,}"
    yield at_most(name, 1.2, share, "x", peaks)


def _collect(address: Path) -> None:
    store = open_store(str(address))
    try:
        collect(store)
    finally:
        store.close()


def _figures(count: int, run: Run, stored: int) -> Iterator[Result]:
    name = f"gc of {count:,} chunks, half dead"
    minutes = run.seconds / 60
    used = {"CPU minutes": [run.cpu / 60]}
    yield Figure(name, "minutes", minutes, "min", minutes < _MINUTES, used)
    yield at_most(
        f"{name}: stored after it, by what lives", 1.1, stored / (count // 2 * _CHUNK), "x", {}
    )
    yield for_reference(f"{name}: peak memory", run.peak / MIB, "MiB", {})


def _make(folder: Path, count: int) -> None:
    """Make a store of two images that have every other chunk each."""
    store = open_store(str(folder), create=True)
    try:
        dead = []
        with making(store) as image:
            for number in range(count):
                data = os.urandom(_CHUNK)
                blob = chunk_id(data)
                image.store(blob, data)
                if number % 2:
                    dead.append(blob)
                else:
                    image.add(Entry(_CHUNK, blob))
            image.publish("alive")
        with making(store) as image:
            for blob in dead:
                image.add(Entry(_CHUNK, blob))
            image.publish("dead")
    finally:
        store.close()
