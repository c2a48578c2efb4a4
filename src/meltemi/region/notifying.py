"""What a region tells the cloud's message bus: OpenStack's notifications, as Glance sends them."""

import logging
import socket
from collections.abc import Callable, Mapping
from queue import Full, Queue
from threading import Thread
from typing import Any, Final, Protocol

from meltemi.messaging import TOPIC, open_transport

QUEUED: Final = 1000
"""Notifications that wait while the bus is slow or away; what is beyond them is lost."""

PATIENCE: Final = 5.0
"""Seconds that what still waits gets when a process stops."""

_FOR_EVER: Final = 2**31
"""Tries; with -1, which should mean the same, a first connection is tried once."""

_log: Final = logging.getLogger(__name__)

Payload = Mapping[str, Any] | str
Send = Callable[[str, str, Payload], None]
"""Sends a notification of a priority, an event and a payload; takes as long as it takes."""


class Notifier(Protocol):
    """Tells what has happened; no request waits for that, or fails with it."""

    def tell(self, event: str, payload: Payload, *, priority: str = "info") -> None:
        """Tell of an event soon, or never."""

    def close(self) -> None:
        """Tell what has not been told yet, for a moment; it blocks."""


class Silence:
    """Tells nobody anything."""

    def tell(self, event: str, payload: Payload, *, priority: str = "info") -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Queued:
    """Tells in a thread of its own, in order, out of a queue that is bounded."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._queue: Queue[tuple[str, str, Payload] | None] = Queue(QUEUED)
        self._lost = 0
        # A process may end while it waits for the bus.
        self._thread = Thread(target=self._work, name="notifications", daemon=True)
        self._thread.start()

    def tell(self, event: str, payload: Payload, *, priority: str = "info") -> None:
        """Tell of an event once those before have been told; lose it where too many wait."""
        try:
            self._queue.put_nowait((priority, event, payload))
        except Full:
            self._lost += 1
            if self._lost == 1:
                _log.error("the message bus takes nothing: notifications are being lost")
            return
        if self._lost:
            _log.error("%d notifications were lost", self._lost)
            self._lost = 0

    def close(self) -> None:
        """Tell what still waits, for some seconds."""
        try:
            self._queue.put_nowait(None)
        except Full:
            return
        self._thread.join(PATIENCE)

    def _work(self) -> None:
        while (one := self._queue.get()) is not None:
            try:
                self._send(*one)
            except Exception as error:  # noqa: BLE001 - of a library, and the next may pass
                _log.error("notification %s was lost: %s", one[1], error)


def check_bus(transport_url: str) -> None:
    """Raise ConfigurationError where an address is none, or oslo.messaging is not installed."""
    open_transport(transport_url)


def open_notifier(transport_url: str) -> Notifier:
    """Make what tells the message bus at an address; it is first reached when there is news."""
    transport = open_transport(transport_url)
    from oslo_messaging import Notifier as Messenger  # noqa: PLC0415 - slow to import

    messenger = Messenger(
        transport,
        publisher_id=f"image.{socket.gethostname()}",
        driver="messagingv2",
        topics=[TOPIC],
        retry=_FOR_EVER,
    )

    def send(priority: str, event: str, payload: Payload) -> None:
        getattr(messenger, priority)({}, event, payload)

    return Queued(send)
