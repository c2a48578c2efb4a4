"""From events to requests: what the leader is asked to look at."""

import time
from collections.abc import Callable, Iterable

from meltemi.config.load import Configuration
from meltemi.daemon.events.telling import Event
from meltemi.daemon.state.inbox import Inbox, Signed
from meltemi.daemon.state.records import Cause, Request


class Intake:
    """Turns events into requests, which are kept when `take` returns.

    `wake` tells this process's own leader, where it leads, that there are some.
    """

    def __init__(
        self, inbox: Inbox, configuration: Callable[[], Configuration], wake: Callable[[], None]
    ) -> None:
        self._inbox = inbox
        self._configuration = configuration
        self._wake = wake

    async def take(self, events: Iterable[Event], signed: Signed | None = None) -> bool:
        """Keep what events ask for, each thing once; False where what is `signed` has come before.

        Raise StateError where it cannot be kept.
        """
        requests: dict[Request, None] = {}
        now = time.time()
        for event in dict.fromkeys(events):
            for request in await self._requests(event, now):
                requests[request] = None
        if not await self._inbox.put(list(requests), signed):
            return False
        if requests:
            self._wake()
        return True

    async def _requests(self, event: Event, now: float) -> list[Request]:
        """Say what an event asks for.

        Of a target matters only that a replica may have gone: what a replicator writes there
        itself must not make it look again.
        """
        routes = self._configuration().routes
        found = []
        if any(route.source == event.library for route in routes):
            found.append(Request(Cause.EVENT, now, source=event.library, image=event.image))
        if any(event.library in route.targets for route in routes):
            if event.image is None:
                found.append(Request(Cause.EVENT, now, library=event.library))
            elif event.gone:
                found += [
                    Request(
                        Cause.EVENT,
                        now,
                        source=place.source,
                        image=place.image,
                        library=place.library,
                    )
                    for place in await self._inbox.replicas(event.library, event.image)
                ]
        return found
