"""A session with a beating heart: what every writer and collector works in."""

import logging
import threading
import time
from types import TracebackType
from typing import Final, Self

from meltemi.chunks.index.sessions import COLLECTOR, Sessions, lost
from meltemi.errors import BusyError, MeltemiError, SessionLostError

BEAT_SECONDS: Final = 10.0

_log: Final = logging.getLogger(__name__)


class Session:
    """An open session; its heart beats in a thread until it is closed."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.number = sessions.begin()
        self._lost = False
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heart", daemon=True)
        self._heart.start()

    def check(self) -> None:
        """Raise SessionLostError where the session is known to be lost."""
        if self._lost:
            raise lost(self.number)

    def close(self, *, forgotten: bool = False) -> None:
        """End it, in the index too unless that has happened."""
        self._ended.set()
        self._heart.join()
        if not forgotten:
            self._sessions.end(self.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                self._sessions.beat(self.number)
            except SessionLostError:
                self._lost = True
                return
            except MeltemiError as error:  # the next beat may get through
                _log.warning("session %d: %s", self.number, error)


def bury_the_dead(sessions: Sessions) -> list[int]:
    """End the sessions whose hearts have stopped; a clock that jumps does not make it so."""
    silent = sessions.silent()
    if not silent:
        return []
    time.sleep(2 * BEAT_SECONDS)
    buried = sessions.bury(silent)
    for number in buried:
        _log.info("session %d is dead", number)
    return buried


def lease(sessions: Sessions, number: int, name: str = COLLECTOR) -> None:
    """Take a lease for a session; raise BusyError where a living one has it."""
    try:
        sessions.lease(number, name)
    except BusyError:
        if not bury_the_dead(sessions):
            raise
        sessions.lease(number, name)
