"""Sockets that let an answer be read although the connection broke after it.

A service that refuses an upload answers before it has read all of it, and closes; Glance does not
wait for the rest, so its kernel resets the connection. Whoever sends the next piece then gets an
error and, being asyncio, closes without looking for what lies there to be read.
"""

import socket
from typing import TYPE_CHECKING

from aiohttp import AddrInfoType

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class ReadingFirst(socket.socket):
    """Tells that the connection broke only when asked to send for the second time.

    In between, asyncio waits until it can send again, and reads first what there is to be read.
    """

    _broken: ConnectionError | None = None

    @classmethod
    def open(cls, address: AddrInfoType) -> "ReadingFirst":
        """Make one for an address, as aiohttp wants them made."""
        family, kind, protocol, *_ = address
        return cls(family, kind, protocol)

    def send(self, data: "ReadableBuffer", flags: int = 0, /) -> int:
        """Send; raise BlockingIOError first, then the error, where the connection broke."""
        if self._broken is not None:
            raise self._broken
        try:
            return super().send(data, flags)
        except ConnectionError as error:
            self._broken = error
            raise BlockingIOError from error
