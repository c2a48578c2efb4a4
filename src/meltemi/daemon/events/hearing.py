"""All that a daemon hears of events by itself: the message buses of its libraries."""

import asyncio
from collections.abc import Mapping

from meltemi.daemon.events.intake import Intake
from meltemi.daemon.events.listening import Listener


class Hearing:
    """Listens to buses, by the names of libraries; where an address changes, it does so anew.

    `queue` begins the names of the queues in which this state's daemons hear them.
    """

    def __init__(self, queue: str, intake: Intake) -> None:
        self._queue = queue
        self._intake = intake
        self._turn = asyncio.Lock()
        self._listeners: dict[tuple[str, str], Listener] = {}

    async def follow(self, buses: Mapping[str, str]) -> None:
        """Listen to these, and to no other."""
        async with self._turn:
            wanted = set(buses.items())
            gone = [self._listeners.pop(key) for key in set(self._listeners) - wanted]
            await asyncio.gather(*(listener.stop() for listener in gone))
            for key in wanted - set(self._listeners):
                self._listeners[key] = self._listen(*key)

    def _listen(self, library: str, url: str) -> Listener:
        # Where several services share a bus, each of their libraries hears all of them.
        return Listener(library, url, f"{self._queue}-{library}", self._intake.take)

    async def stop(self) -> None:
        """Stop listening."""
        await self.follow({})
