"""Whether what a region rests on answers: its database, its store, its Keystone."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from meltemi.errors import MeltemiError
from meltemi.region.identity.flight import SingleFlight

PATIENCE: Final = 5.0
"""Seconds after which what has not answered is away."""

REMEMBERED: Final = 1.0
"""Seconds for which an answer holds: whoever asks more often costs no more."""

_log: Final = logging.getLogger(__name__)

Check = Callable[[], Coroutine[Any, Any, None]]
"""Raises a MeltemiError where its part is away."""


class Readiness:
    """Looks at each part; a look that hangs is never joined by a second one."""

    def __init__(self, parts: Mapping[str, Check]) -> None:
        self._parts = parts
        self._looks: SingleFlight[str, None] = SingleFlight()
        self._until = 0.0
        self._is_away: Mapping[str, bool] = dict.fromkeys(parts, False)

    async def look(self) -> Mapping[str, bool]:
        """Say of each part whether it is away."""
        if time.monotonic() >= self._until:
            found = await asyncio.gather(*(self._look(part) for part in self._parts))
            self._is_away = dict(zip(self._parts, found, strict=True))
            self._until = time.monotonic() + REMEMBERED
        return self._is_away

    async def close(self) -> None:
        """Give up looking."""
        await self._looks.close()

    async def _look(self, part: str) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._looks.do(part, self._parts[part])
        except (MeltemiError, TimeoutError) as error:
            if not self._is_away[part]:
                _log.warning("not ready: the %s is away: %s", part, str(error) or "no answer")
            return True
        if self._is_away[part]:
            _log.warning("the %s is back", part)
        return False
