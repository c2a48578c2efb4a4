"""Connections to PostgreSQL that notice where it has fallen silent.

A server that is frozen, or whose storage hangs, keeps its connections, and its kernel goes on to
acknowledge what is sent. A statement may take long, though, on a server that is well: so who has
waited for some seconds asks, by another connection, whether anybody is there at all.
"""

from time import monotonic
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import ConnectionTimeout

_T = TypeVar("_T")

_SILENT_SECONDS: Final = 5.0
"""How long an answer may take before it is asked whether the server is there, and again."""

_CONNECT_SECONDS: Final = 5
"""How long a server that is there may take to let somebody in."""

_LOOK_SECONDS: Final = 1.0
"""How often who waits looks at the time."""


class Watchful(psycopg.Connection[Any]):
    """Fails, and is closed, where the server says nothing and lets nobody in any more."""

    def wait(
        self, gen: PQGen[_T], interval: float = _LOOK_SECONDS, timeout: float | None = None
    ) -> _T:
        """Do what psycopg wants to be done, as far as the server answers."""
        return super().wait(self._watched(gen), interval, timeout)

    def _watched(self, steps: PQGen[_T]) -> PQGen[_T]:
        """Pass on what is waited for, and look at the time whenever nothing came."""
        heard = monotonic()
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                if ready:
                    heard = monotonic()
                elif monotonic() - heard >= _SILENT_SECONDS:
                    self._must_be_there()
                    heard = monotonic()
                wanted = steps.send(ready)
        except StopIteration as end:
            done: _T = end.value
            return done

    def _must_be_there(self) -> None:
        known = self.info
        try:
            psycopg.connect(
                known.dsn,
                host=known.host,
                port=known.port,
                password=known.password,
                connect_timeout=_CONNECT_SECONDS,
            ).close()
        except ConnectionTimeout as error:
            self.close()
            raise psycopg.OperationalError("the server has fallen silent") from error
        except psycopg.Error:
            return  # it answers, though it lets nobody in
