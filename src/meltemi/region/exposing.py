"""Where Prometheus reads what all processes of a region count."""

import asyncio
import socket
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from meltemi.exposing import exposed
from meltemi.region.metering import summed


@dataclass(frozen=True, slots=True)
class Exposition:
    """The listening socket, and the folder in which all processes count."""

    listener: socket.socket
    folder: Path

    def served(self) -> AbstractAsyncContextManager[None]:
        """Answer there, beside other processes that do."""
        return exposed(self.listener, partial(asyncio.to_thread, summed, self.folder))
