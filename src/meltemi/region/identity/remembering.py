"""Answers that hold for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

from meltemi.region.identity.flight import SingleFlight

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Remembering(Generic[K, T]):
    """Remembers what `ask` answers for so many seconds, of so many keys at most.

    Each answer is asked for once, however many wait for it; an error is not remembered.
    """

    def __init__(
        self, ask: Callable[[K], Coroutine[Any, Any, T]], *, seconds: float, most: int
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._most = most
        self._known: OrderedDict[K, tuple[float, T]] = OrderedDict()
        self._questions: SingleFlight[K, T] = SingleFlight()

    async def get(self, key: K) -> T:
        """Give the answer for a key."""
        known = self._known.get(key)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        return await self._questions.do(key, partial(self._learn, key))

    async def close(self) -> None:
        """Give up what is being asked."""
        await self._questions.close()

    async def _learn(self, key: K) -> T:
        answer = await self._ask(key)
        self._known[key] = (time.monotonic() + self._seconds, answer)
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return answer
