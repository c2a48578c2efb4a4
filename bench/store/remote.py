"""A fragmented image in an object store, against a plain GET of the same bytes."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.store import S3Store, from_url

from bench.children import run
from bench.figures import MIB, Result, at_least, at_most, for_reference, ratio, seconds
from bench.files import pieces
from bench.store.scale import Bench
from lab.radosgw import Radosgw
from meltemi.chunks.backends.objects import ObjectBackend
from meltemi.chunks.cut import BLOCK
from meltemi.chunks.index.database import Database
from meltemi.chunks.store import Store

_SMALLEST, _LARGEST = 12, 22
"""Patches are of 4 KiB to 4 MiB: powers of two."""


class _Counting(ObjectBackend):
    """Counts the requests for data, and remembers how many bytes each asked for."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[int] = []

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Get a range of an object."""
        self.asked.append(length)
        return super().read(name, offset, length)


def remote(bench: Bench) -> Iterator[Result]:
    """Put three generations into radosgw, the third mixed of everything; read that one back."""
    golden, snapshot, rebuilt = bench.images.values()
    with bench.fresh() as folder, Radosgw() as gateway, _environment(gateway.environment):
        third = _third(folder / "third", snapshot, (golden, rebuilt), bench.scale.patches)
        url = gateway.bucket("bench")
        backend = _Counting(f"{url}/store")
        store = Store.create(backend, lambda: Database(f"sqlite:///{folder / 'index.sqlite'}"))
        try:
            for name, image in (("first", golden), ("second", snapshot), ("third", third)):
                _put(store, name, image)
            bucket = from_url(url, client_options={"allow_http": True})
            assert isinstance(bucket, S3Store)
            with third.open("rb") as file:
                obstore.put(bucket, "plain", file)
            plain = obstore.sign(bucket, "GET", "plain", timedelta(days=1))
            yield from _compare(store, backend, plain, third.stat().st_size, bench.scale.runs)
        finally:
            store.close()


def _compare(
    store: Store, backend: _Counting, plain: str, size: int, runs: int
) -> Iterator[Result]:
    gets, ours, counts = [], [], []
    for _ in range(runs):
        gets.append(run("curl", "-sSf", plain).seconds)
        backend.asked.clear()
        ours.append(seconds(lambda: _get(store)))
        counts.append(len(backend.asked) / (size / (4 * MIB)))
    name = f"the third, fragmented generation ({size // MIB} MiB) over S3"
    share = ratio(gets, ours)
    yield at_least(f"{name}: speed against a GET", 0.5, share, "x", {"GET": gets, "ours": ours})
    most = max(counts)
    yield at_most(f"{name}: requests for 4 MiB of data", 1, most, "", {"requests": counts})
    asked = sum(backend.asked) / size
    yield for_reference(f"{name}: bytes asked for, by bytes of data", asked, "x", {})


def _third(path: Path, base: Path, others: tuple[Path, ...], patches: int) -> Path:
    """Write over a snapshot, without its zeros, at many places: what others have, and new data."""
    with path.open("wb") as file:
        for block in pieces(base, BLOCK):
            if block.strip(b"\0"):
                file.write(block)
    size = path.stat().st_size
    chance = random.Random(3)  # noqa: S311 - not a secret
    with path.open("r+b") as file:
        for number in range(patches):
            length = int(2 ** chance.uniform(_SMALLEST, _LARGEST))
            kind = number % (len(others) + 1)
            if kind == len(others):
                data = chance.randbytes(length)
            else:
                data = _somewhere(others[kind], length, chance)
            file.seek(chance.randrange(max(1, size - length)) // 4096 * 4096)
            file.write(data)
    return path


def _somewhere(path: Path, length: int, chance: random.Random) -> bytes:
    """Read a part of a file that is not empty."""
    with path.open("rb") as file:
        while True:
            file.seek(chance.randrange(max(1, path.stat().st_size - length)) // 4096 * 4096)
            if (data := file.read(length)).strip(b"\0"):
                return data


def _put(store: Store, name: str, image: Path) -> None:
    with store.writing(hashes=()) as writer:
        for piece in pieces(image):
            writer.write(piece)
        writer.finish(name)


def _get(store: Store) -> None:
    for _ in store.reader(store.head("third")).read():
        pass


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
