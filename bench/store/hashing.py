"""Random data, which nothing makes smaller: how near a put comes to its two hashes alone."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread

from bench.figures import MIB, Result, at_least, for_reference, ratio, seconds
from bench.files import pieces, random_file
from bench.store.scale import Bench
from meltemi.chunks.opening import open_store


def random_data(bench: Bench) -> Iterator[Result]:
    """Put random data with md5 and sha512, and compute these alone in two threads."""
    size = bench.scale.random
    with bench.fresh() as folder:
        file = random_file(folder / "random", size)
        data = list(pieces(file))
        alone, ours, plain = [], [], []
        for number in range(bench.scale.runs):
            alone.append(seconds(lambda: _hash(data)))
            ours.append(_put(folder / f"both{number}", file, ("md5", "sha512")))
            plain.append(_put(folder / f"plain{number}", file, ()))
    runs = {"hashes alone": alone, "ours": ours}
    name = f"put of {size // MIB} MiB of random data"
    share = ratio(alone, ours)
    yield at_least(
        f"{name}: speed against md5 and sha512 alone in 2 threads", 0.6, share, "x", runs
    )
    share = size / MIB / ratio(plain, [1.0])
    yield for_reference(f"{name} without md5 and sha512", share, "MiB/s", {"seconds": plain})


def _hash(data: Sequence[bytes]) -> None:
    def work(name: str) -> None:
        running = hashlib.new(name, usedforsecurity=False)
        for piece in data:
            running.update(piece)

    threads = [Thread(target=work, args=(name,)) for name in ("md5", "sha512")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _put(folder: Path, file: Path, hashes: Sequence[str]) -> float:
    """Put a file into a new store, in this process: what is compared has no start either."""
    store = open_store(str(folder), create=True)
    try:

        def put() -> None:
            with store.writing(hashes=hashes) as writer:
                for piece in pieces(file):
                    writer.write(piece)
                writer.finish("random")

        os.sync()
        return seconds(put)
    finally:
        store.close()
