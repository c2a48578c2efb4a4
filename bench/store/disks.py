"""The disk images, stored by everyone in turn: bytes, and the speed of put and get."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.figures import MIB, Result, Table, at_least, at_most, for_reference, ratio
from bench.store.peers import ALL, Borg, BorgFast, Casync, Meltemi, MeltemiPlain, Restic, System
from bench.store.scale import Bench

_KNOWN = "once more"
Kind = type[System]


class _Runs:
    """What was measured, by system and image."""

    def __init__(self) -> None:
        self.put: dict[tuple[Kind, str], list[float]] = defaultdict(list)
        self.get: dict[tuple[Kind, str], list[float]] = defaultdict(list)
        self.cpu: dict[tuple[Kind, str], list[float]] = defaultdict(list)
        self.stored: dict[Kind, list[float]] = defaultdict(list)


def disks(bench: Bench) -> Iterator[Result]:
    """Store three disk images in each store, the last once more, and read them back."""
    runs = _Runs()
    for _ in range(bench.scale.runs):
        for kind in ALL:
            with bench.fresh() as folder:
                _once(kind(folder), bench.images, runs)
    yield from _stored(runs)
    for name in bench.images:
        yield from _put(runs, name)
    yield from _known(runs)
    for name in bench.images:
        yield from _get(runs, name)
    yield _everything(runs, list(bench.images))


def _once(system: System, images: dict[str, Path], runs: _Runs) -> None:
    kind = type(system)
    system.init()
    for name, image in images.items():
        os.sync()  # what others wrote is not to be waited for here
        done = system.put(name, image)
        runs.put[kind, name].append(done.seconds)
        runs.cpu[kind, f"put {name}"].append(done.cpu)
    runs.stored[kind].append(system.stored() / MIB)
    os.sync()
    done = system.put(f"{name} again", image)
    runs.put[kind, _KNOWN].append(done.seconds)
    runs.cpu[kind, f"put {_KNOWN}"].append(done.cpu)
    if kind in (Meltemi, Borg, BorgFast):
        for name in images:
            done = system.get(name)
            runs.get[kind, name].append(done.seconds)
            runs.cpu[kind, f"get {name}"].append(done.cpu)


def _stored(runs: _Runs) -> Iterator[Result]:
    found = {kind.label: values for kind, values in runs.stored.items()}
    name = "stored for the three images, index and manifests included"
    yield at_most(name, 296, median(found["Meltemi"]), "MiB", found)
    for kind in (Borg, BorgFast, Casync, Restic):
        share = ratio(runs.stored[Meltemi], runs.stored[kind])
        yield for_reference(f"{name}: against {kind.label}", share, "x", {})


def _put(runs: _Runs, name: str) -> Iterator[Result]:
    for ours, wanted, how in ((MeltemiPlain, 2, "without"), (Meltemi, 1.3, "with")):
        for peer in (Borg, BorgFast):
            title = f"put of the {name}, {how} md5 and sha512: speed against {peer.label}"
            yield _faster(title, wanted, runs.put, (ours, name), (peer, name))


def _known(runs: _Runs) -> Iterator[Result]:
    for peer in (Borg, BorgFast):
        title = f"put of what is known, with md5 and sha512: speed against {peer.label}"
        yield _faster(title, 1.3, runs.put, (Meltemi, _KNOWN), (peer, _KNOWN))


def _get(runs: _Runs, name: str) -> Iterator[Result]:
    for peer in (Borg, BorgFast):
        title = f"get of the {name}: speed against borg extract --stdout, {peer.label}"
        yield _faster(title, 1.5, runs.get, (Meltemi, name), (peer, name))


def _faster(
    title: str,
    wanted: float,
    runs: dict[tuple[Kind, str], list[float]],
    ours: tuple[Kind, str],
    peer: tuple[Kind, str],
) -> Result:
    compared = {"ours": runs[ours], "peer": runs[peer]}
    return at_least(title, wanted, ratio(runs[peer], runs[ours]), "x", compared)


def _everything(runs: _Runs, names: Sequence[str]) -> Table:
    """Give all medians, of seconds and of CPU seconds."""
    whats = [f"put {name}" for name in [*names, _KNOWN]] + [f"get {name}" for name in names]
    rows = []
    for what in whats:
        verb, _, name = what.partition(" ")
        found = runs.put if verb == "put" else runs.get
        cells = [
            f"{median(found[kind, name]):.2f} ({median(runs.cpu[kind, what]):.2f})"
            if found[kind, name]
            else ""
            for kind in ALL
        ]
        rows.append([what, *cells])
    columns = ["seconds (CPU seconds)", *(kind.label for kind in ALL)]
    return Table("Put and get of the disk images", columns, rows, "Medians.")
