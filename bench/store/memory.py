"""Peak memory of put and get, whatever the size of the image."""

from collections.abc import Iterator

from bench.children import meltemi
from bench.figures import GIB, MIB, Result, at_most, for_reference
from bench.files import random_file
from bench.store.scale import Bench


def memory(bench: Bench) -> Iterator[Result]:
    """Put and get a large and a huge image of random data."""
    peaks: dict[str, dict[str, float]] = {"put": {}, "get": {}}
    for size in bench.scale.huge:
        label = f"{size / GIB:g} GiB"
        with bench.fresh() as folder:
            file, store = random_file(folder / "huge", size), folder / "store"
            meltemi("store", "init", store)
            peaks["put"][label] = meltemi("store", "put", store, "huge", file).peak / MIB
            file.unlink()
            peaks["get"][label] = meltemi("store", "get", store, "huge").peak / MIB
    for verb, found in peaks.items():
        (small, less), (large, more) = found.items()
        yield for_reference(f"peak memory of {verb}, {large}", more, "MiB", {})
        runs = {small: [less], large: [more]}
        name = f"peak memory of {verb}: {large} against {small}"
        yield at_most(name, 1.2, more / less, "x", runs)
