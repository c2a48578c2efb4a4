"""A backend that fails, that lists late, that gives half an object: never wrong, never lost."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from threading import Lock

import pytest

from meltemi.chunks import pack, session
from meltemi.chunks.backends.base import Backend
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.backends.objects import ObjectBackend
from meltemi.chunks.blob import Buffer
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.index.database import Database
from meltemi.chunks.reconcile import read_head, reindex
from meltemi.chunks.scrubbing import scrub
from meltemi.chunks.store import Store
from meltemi.errors import DamageError, MeltemiError, SilentError, StoreError, VanishedError
from tests.chunks.faults.rig import Rig

LATE = 6


class Unreliable:
    """A backend that behaves as an object store on a bad day.

    `errors` and `halves` say which part of all operations, or reads, go wrong: not by chance, but
    evenly, so that enough of them do.
    """

    def __init__(self, real: Backend) -> None:
        self._real = real
        self._lock = Lock()
        self._due: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self._written: deque[str] = deque(maxlen=LATE)
        self._deleted: deque[tuple[str, int]] = deque(maxlen=LATE)
        self.errors = self.halves = 0.0
        self.late = False

    def write(self, name: str, data: Buffer) -> None:
        """Fail before the object is there, or after."""
        self._fail("before writing")
        self._real.write(name, data)
        self._written.append(name)
        self._fail("after writing")

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Fail, or give half of what was asked for."""
        self._fail("reading")
        data = self._real.read(name, offset, length)
        return data[: len(data) // 2] if self._is_due("halves", self.halves) else data

    def size(self, name: str) -> int | None:
        """Fail."""
        self._fail("looking")
        return self._real.size(name)

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """Leave out what was just written, and give what was just deleted."""
        self._fail("listing")
        for name, size in self._real.names(folder):
            if not (self.late and name in self._written):
                yield name, size
        if self.late:
            yield from [(name, size) for name, size in self._deleted if name.startswith(folder)]

    def delete(self, name: str) -> None:
        """Fail before the object is deleted, or after."""
        self._fail("before deleting")
        size = self._real.size(name)
        self._real.delete(name)
        if size is not None:
            self._deleted.append((name, size))
        self._fail("after deleting")

    def tidy(self) -> int:
        """Fail, or delete what interrupted writes have left behind."""
        self._fail("tidying")
        return self._real.tidy()

    def close(self) -> None:
        """Let go of what is held."""
        self._real.close()

    @property
    def label(self) -> str:
        """Name it for people."""
        return self._real.label

    def _fail(self, doing: str) -> None:
        if self._is_due("errors", self.errors):
            if self.wrong["errors"] % 2:
                raise StoreError(f"{doing}: 500 Internal Server Error")
            raise SilentError(f"{doing}: no answer in time")

    def _is_due(self, fault: str, rate: float) -> bool:
        with self._lock:
            self._due[fault] += round(1000 * rate)
            due = self._due[fault] >= 1000
            if due:
                self._due[fault] -= 1000
                self.wrong[fault] += 1
            return due


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.services)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Unreliable:
    """Give a backend that does not fail yet."""
    (tmp_path / "store").mkdir()
    real: Backend = FolderBackend(tmp_path / "store")
    if request.param == "bucket":
        real = ObjectBackend(f"s3://{request.getfixturevalue('bucket')}/store")
    return Unreliable(real)


@pytest.fixture
def rig(backend: Unreliable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Give an empty store on it."""
    monkeypatch.setattr(session, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(pack, "FULL", 150_000)
    store = Store.create(backend, lambda: Database(f"sqlite:///{tmp_path / 'index.sqlite'}"))
    yield Rig(store)
    store.close()


def live(rig: Rig, chance: Random, steps: int) -> int:
    """Do all kinds of things; whatever is said to be done is done. Give how often that failed."""
    failed = 0
    for step in range(steps):
        names = sorted(rig.truth)
        act = chance.choice(["put", "put", "put", "remove", "read", "collect", "reindex", "scrub"])
        name = chance.choice(names) if names else ""
        try:
            if act == "put":
                rig.put(f"image {step}", *(chance.randrange(9) for _ in range(4)))
            elif act == "remove" and name:
                rig.store.remove(name)
                del rig.truth[name]
            elif act == "read" and name:
                assert rig.read(name) == rig.truth[name]
            elif act == "collect":
                collect(rig.store)
            elif act == "reindex":
                reindex(rig.store)
            elif act == "scrub":
                scrub(rig.store)
        except MeltemiError as error:
            failed += 1
            assert not isinstance(error, DamageError | VanishedError)  # noqa: PT017
            if act == "remove":
                del rig.truth[name]
    return failed


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("fault", ["errors", "halves", "late", "all"])
def test_a_bad_day(seed: int, fault: str, rig: Rig, backend: Unreliable) -> None:
    if fault in ("errors", "all"):
        backend.errors = 0.03
    if fault in ("halves", "all"):
        backend.halves = 0.1
    backend.late = fault in ("late", "all")
    failed = live(rig, Random(seed), 40)
    assert backend.wrong.keys() == {name for name in ("errors", "halves") if fault in (name, "all")}
    assert failed or fault in ("halves", "late")
    assert not (failed and fault == "late")
    backend.errors = backend.halves = 0.0
    backend.late = False
    with rig.sql() as connection:
        connection.exec_driver_sql("UPDATE sessions SET seen = 0")
    rig.see_all()
    # What could not be read for a moment is not taken for damaged.
    assert list(backend.names("bad")) == []
    rig.see_clean()


def test_half_an_object_is_not_taken_for_damage(rig: Rig, backend: Unreliable) -> None:
    rig.put("one", 1, 2, 3)
    backend.halves = 1.0
    with pytest.raises(StoreError, match="try again") as told:
        rig.read("one")
    assert not isinstance(told.value, DamageError)
    for act in (scrub, collect, reindex):
        with pytest.raises(StoreError, match=r"only \d+ of \d+ bytes came"):
            act(rig.store)
    backend.halves = 0.0
    assert list(backend.names("bad")) == []
    assert check(rig.store).problems == []
    rig.see_clean()


def test_half_a_head_or_half_of_what_says_that_it_is_a_store_is_not_taken_for_damage(
    rig: Rig, backend: Unreliable
) -> None:
    head = rig.put("one", 1)
    backend.halves = 1.0
    acts: tuple[Callable[[], object], ...] = (
        lambda: read_head(backend, head.id),
        lambda: Store.open(backend, lambda: rig.store.database),
    )
    for act in acts:
        with pytest.raises(StoreError, match=r"only \d+ of \d+ bytes came") as told:
            act()
        assert not isinstance(told.value, DamageError)
    backend.halves = 0.0
    rig.see_clean()


def test_a_pack_that_is_written_after_the_writer_gave_up(rig: Rig, backend: Unreliable) -> None:
    """As an object store does with a request that was thought to be lost."""
    late: list[tuple[str, bytes]] = []

    def write(_this: Unreliable, name: str, data: Buffer) -> None:
        late.append((name, bytes(data)))
        raise SilentError("no answer in time")

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(Unreliable, "write", write)
        with pytest.raises(SilentError):
            rig.put("one", 1, 2)
    rig.collect()
    for name, data in late:
        backend.write(name, data)
    assert late
    rig.see_clean()
