"""A process that writes objects until it is killed: `python -m tests.chunks.writing ADDRESS SEED`.

It prints the name of each object that is written. An object's data follows from its name.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from lab.state import ROOT
from meltemi.chunks.backends.base import Backend
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.backends.objects import ObjectBackend
from tests.chunks.making import MIB, noise

_NAME = re.compile(r"packs/\d\d/(\d+)-(\d+)-(\d+)")


def opened(address: str) -> Backend:
    """Open a backend."""
    return ObjectBackend(address) if "://" in address else FolderBackend(Path(address))


def data_of(name: str) -> bytes:
    """Give what an object of that name has."""
    found = _NAME.fullmatch(name)
    assert found is not None, name
    seed, number, size = map(int, found.groups())
    # Making it must not take longer than writing it.
    return (noise(seed * 1000 + number, 999) * (size // 999 + 1))[:size]


def write(address: str, seed: int, count: int = 10**9) -> None:
    """Write objects."""
    backend = opened(address)
    chance = Random(seed)
    for number in range(count):
        size = int(8 * MIB * chance.random() ** 3)
        name = f"packs/{number % 5:02}/{seed}-{number}-{size}"
        backend.write(name, data_of(name))
        print(name, flush=True)  # noqa: T201 - for whoever started this


@contextmanager
def writing(address: str, seed: int, *count: int) -> Iterator[subprocess.Popen[str]]:
    """Run it as a process; whatever happens, it is killed at the end."""
    arguments = [address, str(seed), *map(str, count)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chunks.writing", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def killed_at_any_moment(address: str, rounds: int) -> set[str]:
    """Kill writers as soon as they have written a few objects; give what they said they wrote."""
    told: set[str] = set()
    chance = Random(rounds)
    for seed in range(rounds):
        with writing(address, seed) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 6)):
                told.add(process.stdout.readline().strip())
            try:
                process.wait(chance.uniform(0, 0.05))
            except subprocess.TimeoutExpired:
                process.kill()
            told.update(line.strip() for line in process.stdout if line.endswith("\n"))
    return told


def seen_whole(backend: Backend, told: set[str]) -> None:
    """See that all that was told is there, and that what is there is whole."""
    found = dict(backend.names("packs"))
    assert found.keys() >= told
    for name, size in found.items():
        data = data_of(name)
        assert size == len(data)
        assert backend.read(name, 0, size + 1) == data


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:]))
