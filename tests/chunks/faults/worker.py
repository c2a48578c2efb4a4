"""What processes do to a store until they are killed: put and remove, collect, reindex.

Whatever was done is told through a pipe, before it begins and after it counts.
"""

import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from random import Random
from typing import Final

from meltemi.chunks import pack, session, writer
from meltemi.chunks.collector import collect
from meltemi.chunks.cut import Cut
from meltemi.chunks.opening import open_store
from meltemi.chunks.reconcile import reindex
from meltemi.chunks.store import Store
from meltemi.errors import BusyError, MeltemiError, SessionLostError
from tests.chunks.faults.rig import blocks

BLOCKS: Final = 12
"""Different blocks, so that most of what is put is there already."""


def quicken(role: str) -> None:
    """Let packs be small, blobs be looked up as soon as there is one, and collectors not wait."""
    if role != "write":
        session.BEAT_SECONDS = 0.02  # type: ignore[misc]
    pack.FULL = 3 * 2**16  # type: ignore[misc]
    writer.PIECE = 1  # type: ignore[misc]
    writer._BATCH = 1  # type: ignore[misc]


def work(folder: str, index: str, role: str, seed: int, pipe: Connection) -> None:
    """Open the store, and do one kind of thing again and again."""
    quicken(role)
    store = open_store(folder, index)
    pipe.send(("ready", "", ()))
    if role == "write":
        _write(store, Random(seed), pipe)
    elif role == "collect":
        _repeat(store, collect, pipe)
    else:
        _repeat(store, reindex, pipe)


def _write(store: Store, chance: Random, pipe: Connection) -> None:
    mine: list[str] = []
    prefix = f"{os.getpid()}-{chance.randrange(10**9)}"
    number = 0
    while True:
        if mine and chance.random() < 0.4:
            name = mine.pop(chance.randrange(len(mine)))
            pipe.send(("removing", name, ()))
            store.remove(name)
            pipe.send(("removed", name, ()))
            continue
        number += 1
        name = f"{prefix}-{number}"
        wanted = tuple(chance.randrange(BLOCKS) for _ in range(chance.randrange(6)))
        pipe.send(("putting", name, wanted))
        try:
            with store.writing(cut=Cut.FIXED, hashes=()) as upload:
                for one in wanted:
                    upload.write(blocks(one))
                upload.finish(name)
        except SessionLostError as error:
            pipe.send(("lost", name, (str(error),)))
        except MeltemiError as error:
            pipe.send(("error", str(error), ()))
        else:
            pipe.send(("put", name, wanted))
            mine.append(name)


def _repeat(store: Store, act: Callable[[Store], object], pipe: Connection) -> None:
    while True:
        try:
            act(store)
            pipe.send(("done", act.__name__, ()))
        except (BusyError, SessionLostError):
            pipe.send(("kept out", act.__name__, ()))
        except MeltemiError as error:
            pipe.send(("error", f"{act.__name__}: {error}", ()))


def collect_until(folder: str, index: str, owner: type, step: str, *, first: bool) -> None:
    """Collect garbage, and be killed before a step of that, or after it."""
    original = getattr(owner, step)

    def last(this: object, *arguments: object, **options: object) -> None:
        if not first:
            original(this, *arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, step, last)
    collect(open_store(folder, index))
