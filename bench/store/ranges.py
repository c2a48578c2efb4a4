"""The first byte of a range somewhere in a very large image."""

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median, quantiles

from bench.figures import GIB, MIB, Result, at_most, for_reference
from bench.files import pieces
from bench.store.scale import Bench
from bench.store.synthetic import making
from meltemi.chunks.head import Head
from meltemi.chunks.manifest import decode_root
from meltemi.chunks.opening import open_store
from meltemi.chunks.reader import Reader
from meltemi.chunks.store import Store
from meltemi.chunks.tree import entries_from

_WANTED = 10
_LONGEST = 64
"""Chunks of the real image that follow one another at most."""


def ranges(bench: Bench) -> Iterator[Result]:
    """Ask for ranges of 1 MiB, with no segment known, with one reader, and beside the last."""
    image = next(iter(bench.images.values()))
    with bench.fresh() as folder:
        store = open_store(str(folder / "store"), create=True)
        try:
            with store.writing(hashes=()) as writer:
                for piece in pieces(image):
                    writer.write(piece)
                head = writer.finish("real").head
            yield from _measure(store, _wide(store, head, bench.scale.wide), bench.scale.ranges)
        finally:
            store.close()


def _wide(store: Store, real: Head, size: int) -> Head:
    """Make a large image of stretches of a real one's chunks, in no order."""
    root = decode_root(store.fetch(real.manifest))
    entries = [
        entry for entry in entries_from(root, store.fetcher.fetch_all) if entry.chunk is not None
    ]
    chance = random.Random(1)  # noqa: S311 - not a secret
    with making(store) as image:
        while size > 0:
            begin = chance.randrange(len(entries))
            for entry in entries[begin : begin + chance.randint(1, _LONGEST)]:
                image.add(entry)
                size -= entry.length
        return image.publish("wide")


def _measure(store: Store, head: Head, count: int) -> Iterator[Result]:
    chance = random.Random(2)  # noqa: S311
    offsets = [chance.randrange(head.size - 2 * MIB) for _ in range(count)]
    gc.collect()
    gc.freeze()  # what was made here to measure with is not looked through in between
    one = store.reader(head)
    cold = [_first(lambda: store.reader(head), offset) for offset in offsets]
    kept, beside = [], []
    for offset in offsets:
        kept.append(_first(lambda: one, offset))
        beside.append(_first(lambda: one, offset + MIB))
    name = f"first byte of 1 MiB anywhere in {head.size // GIB} GiB"
    yield from _figures(f"{name}, nothing known", cold)
    yield from _figures(f"{name}, by an open reader", kept)
    yield from _figures(f"{name}, beside what was just read", beside)
    whole = [1000 * _whole(store.reader(head), offset) for offset in offsets]
    yield for_reference("all of that 1 MiB, nothing known", median(whole), "ms", _spread(whole))


def _figures(name: str, times: Sequence[float]) -> Iterator[Result]:
    told = [1000 * taken for taken in times]
    yield at_most(name, _WANTED, median(told), "ms", _spread(told))
    yield for_reference(f"{name}, the slowest of {len(told)}", max(told), "ms", {})


def _spread(times: Sequence[float]) -> dict[str, list[float]]:
    cuts = quantiles(times, n=100, method="inclusive")
    return {"median, 90th, 99th percentile, most": [median(times), cuts[89], cuts[98], max(times)]}


def _first(opened: Callable[[], Reader], offset: int) -> float:
    begun = time.perf_counter()
    data = opened().read(offset, MIB)
    next(data)
    taken = time.perf_counter() - begun
    for _ in data:
        pass
    return taken


def _whole(reader: Reader, offset: int) -> float:
    begun = time.perf_counter()
    for _ in reader.read(offset, MIB):
        pass
    return time.perf_counter() - begun
