"""What limits put and get: the CPU seconds of each stage, beside what the command takes."""

import os
from collections.abc import Iterator
from pathlib import Path

from bench.children import Run, meltemi
from bench.figures import GIB, Result, Table
from bench.files import random_file
from bench.store.scale import Bench
from bench.store.stages import Stages, get_stages, put_stages
from meltemi.chunks.opening import open_store

_HASHES = ("md5", "sha512")


def profile(bench: Bench) -> Iterator[Result]:
    """Measure the stages of put, of new, random and known data, and of get."""
    image = next(iter(bench.images.values()))
    with bench.fresh() as folder:
        size = min(bench.scale.random, image.stat().st_size)
        noise = random_file(folder / "random", size)
        for title, file in (("the golden image", image), ("random data", noise)):
            address = folder / f"store of {file.stem}"
            meltemi("store", "init", address)
            taken = meltemi("store", "put", address, "one", file)
            yield _table(f"Put of {title}", _put(folder / "stages" / file.stem, file), taken, file)
            known = meltemi("store", "put", address, "two", file)
            yield _table(f"Put of {title}, known", _put(address, file), known, file)
            read = meltemi("store", "get", address, "one")
            yield _table(f"Get of {title}", _get(address), read, file)


def _put(address: Path, image: Path) -> Stages:
    address.parent.mkdir(exist_ok=True)
    store = open_store(str(address), create=not address.exists())
    try:
        return put_stages(store, image)
    finally:
        store.close()


def _get(address: Path) -> Stages:
    store = open_store(str(address))
    try:
        return get_stages(store, store.head("one"))
    finally:
        store.close()


def _table(title: str, stages: Stages, run: Run, image: Path) -> Table:
    """Give the stages, most expensive first, and the least time that they could take together."""
    cores = os.cpu_count() or 1
    size = image.stat().st_size / GIB
    total, longest = sum(stages.cpu.values()), max(stages.cpu.values())
    rows = [
        _row(stage, cpu, stages.seconds[stage], size)
        for stage, cpu in sorted(stages.cpu.items(), key=lambda one: -one[1])
    ]
    rows.append(_row("all stages", total, sum(stages.seconds.values()), size))
    single = [cpu for stage, cpu in stages.cpu.items() if stage in _HASHES]
    least = max(total / cores, *single, 0.0) if single else total / cores
    rows.append([f"at best, on {cores} cores", "", "", f"{least:.2f}"])
    rows.append(_row("the command", run.cpu, run.seconds, size))
    limit = max(stages.cpu, key=lambda stage: stages.cpu[stage])
    about = (
        f"{size:.2f} GiB. The most expensive stage is {limit}, {longest / total:.0%} of the CPU. "
        "At best: the longer of one hash's thread and all CPU over all cores."
    )
    return Table(title, ["stage", "CPU seconds", "CPU seconds a GiB", "seconds"], rows, about)


def _row(stage: str, cpu: float, seconds: float, size: float) -> list[str]:
    return [stage, f"{cpu:.2f}", f"{cpu / size:.2f}", f"{seconds:.2f}"]
