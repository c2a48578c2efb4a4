"""What a log needs to be told once: whatever is away is asked again and again."""

import logging
import time
from collections.abc import Callable
from typing import Final

_QUIET_SECONDS: Final = 60.0
_MOST: Final = 1000


class Unrepeated(logging.Filter):
    """Lets the same warning, or error, through once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is to be written."""
        if record.levelno < logging.WARNING:
            return True
        now, message = self._clock(), record.getMessage()
        if now - self._told.get(message, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return False
        if len(self._told) >= _MOST:
            self._told.clear()
        self._told[message] = now
        return True
