"""Long work on files, in steps: it can be told how far it is, and it can be interrupted."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import Final

from meltemi.replication.reading import HashState
from meltemi.threads import in_thread

Tell = Callable[[int, int | None], None]
"""Takes how many bytes have come, and how many there will be, where that is known."""

Telling = Callable[[str, int | None], AbstractContextManager[Tell]]
"""Begins to tell of some work: what it is, and how many bytes it takes."""

PIECES: Final = 16
"""Pieces of a MiB that are one step."""


async def hash_all(state: HashState, pieces: Iterator[bytes], done: Callable[[int], None]) -> None:
    """Hash data; `done` is told how far it is, in bytes."""

    def step() -> int:
        size = 0
        for piece in islice(pieces, PIECES):
            state.update(piece)
            size += len(piece)
        return size

    total = 0
    while size := await in_thread(step):
        total += size
        done(total)
