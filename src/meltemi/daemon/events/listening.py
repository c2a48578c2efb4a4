"""Hearing what a library's Image service tells over RabbitMQ, in threads of its own.

Every daemon of one state hears from the same queue, which it makes in the bus: each notification
goes to one of them, and waits where none is there. It is acknowledged once what it asks for is in
the state; one that was not, since a daemon died, goes to another one, or comes again.

oslo.messaging connects again by itself and says nothing of it. So a connection beside it, over
which nothing goes, tells when the bus was away: notifications may have been lost then.
"""

import asyncio
import logging
import threading
import warnings
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Final

from meltemi.daemon.events.telling import Event, read_event
from meltemi.errors import MeltemiError
from meltemi.messaging import TOPIC, connection_to, open_transport

_log: Final = logging.getLogger(__name__)

_BATCH: Final = 100
"""Notifications that are taken in together."""

_BATCH_SECONDS: Final = 0.1
_PAUSE_SECONDS: Final = 1.0
_LOOKING_SECONDS: Final = 0.1
_CONNECT_SECONDS: Final = 10.0
_HEARTBEAT_SECONDS: Final = 10
_STOPPING_SECONDS: Final = 5.0

Take = Callable[[Sequence[Event]], Awaitable[object]]
"""Keeps what events ask for; runs on the event loop."""


class Listener:
    """Hears one library's bus until it is stopped."""

    def __init__(self, library: str, url: str, queue: str, take: Take) -> None:
        self._library = library
        self._url = url
        self._queue = queue
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._stopping, self._stopped = threading.Event(), threading.Event()
        self._server: Any = None
        # A process may end while it waits for the bus.
        threading.Thread(target=self._run, name=f"bus of {library}", daemon=True).start()

    async def stop(self) -> None:
        """Stop hearing; what is not acknowledged by then is told again."""
        self._stopping.set()
        await asyncio.to_thread(self._stopped.wait, _STOPPING_SECONDS)

    # What oslo.messaging calls

    supported_priorities = ("info",)

    def dispatch(self, incoming: Sequence[Any]) -> Collection[Any]:
        """Take notifications in; give those of them that are to be told again."""
        told = [one.message for one in incoming if isinstance(one.message, dict)]
        read = [
            read_event(self._library, message.get("event_type"), message.get("payload"))
            for message in told
        ]
        events = [event for event in read if event is not None]
        return () if not events or self._keep(events) else incoming

    def _keep(self, events: Sequence[Event]) -> bool:
        """Let events be kept, however long that takes; False where this is stopped before."""
        while not self._stopping.is_set():
            try:
                self._keep_once(events)
            except MeltemiError as error:
                _log.warning("%s: events wait: %s", self._library, error)
                self._stopping.wait(_PAUSE_SECONDS)
            except (RuntimeError, CancelledError):  # the event loop has ended
                return False
            else:
                return True
        return False

    def _keep_once(self, events: Sequence[Event]) -> None:
        future = asyncio.run_coroutine_threadsafe(self._kept(events), self._loop)
        while True:
            with suppress(TimeoutError):
                return future.result(_PAUSE_SECONDS)
            if self._stopping.is_set():
                future.cancel()
                raise CancelledError

    async def _kept(self, events: Sequence[Event]) -> None:
        await self._take(events)

    # The thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._stay_connected()
            except Exception as error:  # noqa: BLE001 - of three libraries; the bus may come back
                _log.warning("%s: its message bus is away: %s", self._library, error)
            self._stopping.wait(_PAUSE_SECONDS)
        if self._server is not None:
            self._server.stop()
            self._server.wait()
        self._stopped.set()

    def _stay_connected(self) -> None:
        """Hear until this is stopped; raise what ends the connection."""
        settings = connection_to(self._url)
        from kombu.connection import Connection  # noqa: PLC0415 - slow to import, and not always installed

        connect: Callable[..., Any] = Connection
        with connect(
            **settings, heartbeat=_HEARTBEAT_SECONDS, connect_timeout=_CONNECT_SECONDS
        ) as connection:
            connection.ensure_connection(
                max_retries=1, interval_start=0, interval_step=0, timeout=_CONNECT_SECONDS
            )
            if self._server is None:
                self._server = self._serve()
            while not self._is_heard(connection):
                if self._stopping.wait(_LOOKING_SECONDS):
                    return
            _log.info("%s: its message bus is heard", self._library)
            self._keep([Event(self._library)])
            while not self._stopping.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_PAUSE_SECONDS)
                connection.heartbeat_check()

    def _is_heard(self, connection: Any) -> bool:
        """Say whether somebody takes notifications out of the queue."""
        with suppress(*connection.channel_errors), connection.channel() as channel:
            return bool(channel.queue_declare(self._queue, passive=True).consumer_count)
        return False

    def _serve(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what oslo.messaging still does itself
            from oslo_messaging import Target  # noqa: PLC0415 - slow to import
            from oslo_messaging.notify.listener import BatchNotificationServer  # noqa: PLC0415

            # Whether the exchange is durable has to be what Glance says, or it is refused: the
            # default of both, unless the address says otherwise.
            transport = open_transport(self._url, rabbit_qos_prefetch_count=str(2 * _BATCH))
            server = BatchNotificationServer(
                transport,
                [Target(topic=TOPIC)],
                self,
                pool=self._queue,
                batch_size=_BATCH,
                batch_timeout=_BATCH_SECONDS,
            )
            server.start(override_pool_size=1)
        return server
