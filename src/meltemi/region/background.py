"""Work that goes on after its request was answered."""

import asyncio
from collections.abc import Coroutine
from typing import Final

AT_ONCE: Final = 8
"""How much of it is done at the same time in one process; the rest waits for its turn."""


class Background:
    """Does work one after another, as much at once as is good; no work may raise."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._at_work: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Have something done when it is its turn."""
        task = asyncio.create_task(self._do(work))
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

    async def _do(self, work: Coroutine[None, None, None]) -> None:
        try:
            async with self._turns:
                await work
        finally:
            work.close()  # which does nothing, but where its turn never came
