"""Work that goes on after its request was answered."""

import asyncio
from collections.abc import Coroutine, Hashable
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary


@dataclass(frozen=True, slots=True)
class Queue:
    """Work of which so much is done at the same time in one process; the rest waits."""

    name: Hashable
    at_once: int


MENDING: Final = Queue("mending", 8)
READING: Final = Queue("reading", 8)
"""Work that keeps a processor busy."""


def fetching(project: str | None) -> Queue:
    """Give the queue of what a project has fetched: most of it waits for the network.

    So a project waits for what its own sources do, and for nobody else's.
    """
    return Queue(("fetching", project), 64)


class Background:
    """Does work one after another, as much at once as is good; no work may raise."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[Queue, asyncio.Semaphore] = WeakValueDictionary()
        self._at_work: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None], queue: Queue) -> None:
        """Have something done when it is its turn in a queue."""
        turns = self._turns.get(queue) or asyncio.Semaphore(queue.at_once)
        self._turns[queue] = turns
        task = asyncio.create_task(self._do(work, turns))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def landed(self, timeout: float) -> bool:  # noqa: ASYNC109 - it is what the operator set
        """Wait until nothing is left to do, for so many seconds; say whether it came to that."""
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=timeout)
        return not self._at_work

    async def close(self) -> None:
        """Stop in the middle of whatever is being done."""
        at_work = list(self._at_work)
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)

    async def _do(self, work: Coroutine[None, None, None], turns: asyncio.Semaphore) -> None:
        try:
            async with turns:
                await work
        finally:
            work.close()  # which does nothing, but where its turn never came
