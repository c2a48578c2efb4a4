"""Processes that are killed or stopped at any moment: what they acknowledged is there, exactly."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from threading import Timer

import pytest

from meltemi.chunks import session
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.index.blobs import Blobs
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.opening import open_store
from meltemi.errors import DamageError
from tests.chunks.faults.rig import Rig, blocks
from tests.chunks.faults.worker import collect_until, work
from tests.support.forking import FORKING

ROUNDS = 12
BATCHES = 3


class Worker:
    """A process at work on a store, and what it told."""

    def __init__(self, folder: str, index: str, role: str, seed: int) -> None:
        self._pipe: Connection
        self._pipe, theirs = FORKING.Pipe(duplex=False)
        self.process: ForkServerProcess = FORKING.Process(
            target=work, args=(folder, index, role, seed, theirs), daemon=True
        )
        self.process.start()
        theirs.close()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def heard(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        """Give what it told since the last time."""
        try:
            while self._pipe.poll():
                yield self._pipe.recv()
        except (EOFError, OSError):
            return

    def wait(self) -> None:
        """Wait until it has told something."""
        assert self._pipe.poll(300), "it does nothing"

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send(signal.SIGKILL)
        self.process.join()


class Ledger:
    """What a store must hold, may hold, and must not hold, as far as its writers told."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.putting: dict[str, bytes] = {}
        self.removing: set[str] = set()
        self.counts: Counter[str] = Counter()

    def wait(self, worker: Worker, what: str) -> None:
        """Hear a worker until it has told a certain thing."""
        before = self.counts[what]
        while self.counts[what] == before:
            worker.wait()
            self.hear(worker)

    def hear(self, worker: Worker) -> None:
        """Take down what a worker told."""
        for what, name, numbers in worker.heard():
            self.counts[what] += 1
            if what == "error":
                pytest.fail(name)
            elif what == "putting":
                self.putting[name] = blocks(*numbers)
            elif what == "put":
                self.rig.truth[name] = self.putting.pop(name)
            elif what == "lost":
                del self.putting[name]
            elif what == "removing":
                self.removing.add(name)
            elif what == "removed":
                self.removing.remove(name)
                del self.rig.truth[name]

    def settle(self) -> None:
        """Look what became of what nobody acknowledged: it is whole, or not there."""
        there = {head.name for head in self.rig.store.heads.all()}
        for name, data in self.putting.items():
            if name in there:
                self.rig.truth[name] = data
        for name in self.removing - there:
            del self.rig.truth[name]
        self.putting.clear()
        self.removing.clear()


@pytest.fixture
def ledger(index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Give an empty store, and what it must hold."""
    monkeypatch.setattr(session, "BEAT_SECONDS", 0.02)
    store = open_store(str(tmp_path / "store"), index, create=True)
    yield Ledger(Rig(store))
    store.close()


def age(ledger: Ledger) -> None:
    """Let the sessions that are in the index be silent for long: their processes are dead."""
    with ledger.rig.sql() as connection:
        connection.exec_driver_sql("UPDATE sessions SET seen = 0")


def test_kill_at_any_moment(ledger: Ledger, tmp_path: Path, index: str) -> None:
    chance = Random(3)
    folder = str(tmp_path / "store")
    for _ in range(BATCHES):
        for turn in range(ROUNDS):
            roles = ["write", "write", "collect" if turn % 4 else "reindex"]
            if turn % 3 == 1:
                roles.append("collect")
            workers = [Worker(folder, index, role, chance.randrange(10**6)) for role in roles]
            for worker in workers:
                ledger.wait(worker, "ready")
            # When they are killed is left to chance, but not whether they ever did anything.
            if not turn % 3:
                ledger.wait(workers[0], "put")
            if not turn % 6:
                ledger.wait(workers[2], "done")
            chance.shuffle(workers)
            time.sleep(chance.uniform(0, 0.15))
            for worker in workers:
                time.sleep(chance.uniform(0, 0.08))
                worker.kill()
                ledger.hear(worker)
            age(ledger)
        assert check(ledger.rig.store).problems == []
        collect(ledger.rig.store)
        ledger.settle()
        ledger.rig.see_clean()
        for name in list(ledger.rig.truth)[10:]:
            ledger.rig.remove(name)
    assert ledger.counts["put"] > ROUNDS * BATCHES / 4, ledger.counts
    assert ledger.counts["done"], ledger.counts


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (Blobs, "announce"),
        (FolderBackend, "write"),
        (Blobs, "record"),
        (CollectionIndex, "retire"),
        (CollectionIndex, "dismiss"),
        (FolderBackend, "delete"),
        (CollectionIndex, "erase"),
    ],
)
def test_kill_a_collector_at_each_step_of_rewriting(
    owner: type, step: str, ledger: Ledger, tmp_path: Path, index: str, *, first: bool
) -> None:
    rig = ledger.rig
    rig.put("old", 1, 2, 3, 4, 5)
    rig.put("kept", 1)
    rig.remove("old")
    folder = str(tmp_path / "store")
    process = FORKING.Process(
        target=collect_until, args=(folder, index, owner, step), kwargs={"first": first}
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert check(rig.store).problems == []
    rig.see_all()
    age(ledger)
    rig.put("new", 1, 2)
    rig.see_clean()


def test_stop_a_writer_while_its_session_dies(ledger: Ledger, tmp_path: Path, index: str) -> None:
    """Who sleeps over a collection, with a part of a put done, either has put it or says not."""
    chance = Random(5)
    turns = 0
    while turns < 8 or not (ledger.counts["lost"] and ledger.counts["put"]):
        turns += 1
        worker = Worker(str(tmp_path / "store"), index, "write", chance.randrange(10**6))
        ledger.wait(worker, "ready")
        for _ in range(3):
            time.sleep(chance.uniform(0.01, 0.1))
            worker.send(signal.SIGSTOP)
            # It may have been stopped within a transaction, which lets nobody else begin one.
            wake = Timer(1, worker.send, [signal.SIGCONT])
            wake.start()
            age(ledger)
            with suppress(DamageError):
                # A head that came too late is there for a moment, until its writer takes it back.
                collect(ledger.rig.store)
                collect(ledger.rig.store)
            wake.cancel()
            ledger.hear(worker)
            worker.send(signal.SIGCONT)
            worker.wait()
            ledger.hear(worker)
        worker.kill()
        ledger.hear(worker)
    age(ledger)
    collect(ledger.rig.store)
    ledger.settle()
    ledger.rig.see_clean()
    assert ledger.counts["lost"], ledger.counts
    assert ledger.counts["put"], ledger.counts
