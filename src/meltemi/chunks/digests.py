"""Hashes of the whole data, each in a thread of its own: they are what limits a put."""

import hashlib
import queue
import threading
from collections.abc import Sequence
from typing import Final

from meltemi.chunks.blob import Buffer
from meltemi.errors import UsageError

KNOWN: Final = ("md5", "sha256", "sha512")
_PIECE: Final = 2**20
_AHEAD: Final = 2
"""Pieces that a hash may lag behind: they take memory."""


class Digests:
    """Takes in data and gives its size and its hashes."""

    def __init__(self, algorithms: Sequence[str]) -> None:
        if unknown := set(algorithms) - set(KNOWN):
            raise UsageError(f"{min(unknown)}: not one of {', '.join(KNOWN)}")
        self.size = 0
        self._threads = [_Digest(name) for name in algorithms]

    def update(self, data: Buffer) -> None:
        """Take in more; wait where the slowest is too far behind."""
        self.size += len(data)
        with memoryview(data) as view:
            for begin in range(0, len(view), _PIECE):
                piece = view[begin : begin + _PIECE]
                for thread in self._threads:
                    thread.queue.put(piece)

    def finish(self) -> dict[str, str]:
        """Give the hashes, in hexadecimal, by algorithm."""
        self.close()
        return {thread.name: thread.hash.hexdigest() for thread in self._threads}

    def close(self) -> None:
        """End the threads."""
        for thread in self._threads:
            thread.queue.put(None)
        for thread in self._threads:
            thread.join()


class _Digest(threading.Thread):
    def __init__(self, algorithm: str) -> None:
        super().__init__(name=algorithm, daemon=True)
        self.hash = hashlib.new(algorithm, usedforsecurity=False)
        self.queue: queue.Queue[Buffer | None] = queue.Queue(_AHEAD)
        self.start()

    def run(self) -> None:
        """Hash until the end is announced."""
        while (data := self.queue.get()) is not None:
            self.hash.update(data)
