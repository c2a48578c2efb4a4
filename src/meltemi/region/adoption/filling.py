"""Bringing everything here in the background, while the Glance is followed."""

import asyncio
import logging
from typing import Final

from meltemi.catalogue.adopting_base import Ledger
from meltemi.errors import ConflictError, MeltemiError
from meltemi.model.adoption import Stage
from meltemi.region.adoption.fetching import Fetches
from meltemi.region.adoption.following import Follower

IDLE_SECONDS: Final = 2.0
"""How often it is looked whether there is something to bring."""

COMPARE_SECONDS: Final = 30.0
"""How often all images are compared at most."""

_SHARE: Final = 10
"""A comparison takes up no more than one part in so many of the Glance's time."""

_LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries when one fails after the other."""

_log: Final = logging.getLogger(__name__)


class Filler:
    """One process's part: it brings one image at a time, and may be the one that follows."""

    def __init__(self, ledger: Ledger, fetches: Fetches, follower: Follower, holder: str) -> None:
        self._ledger = ledger
        self._fetches = fetches
        self._follower = follower
        self._holder = holder

    async def run(self) -> None:
        """Work until the adoption is finished, or cancelled."""
        await asyncio.gather(self._fill(), self._follow())

    async def _fill(self) -> None:
        failures = 0
        while not await self._is_finished():
            came = None
            try:
                wanted = await self._ledger.claim_next(self._holder)
                if wanted is not None:
                    came = await self._fetches.fetch(wanted)
            except MeltemiError as error:
                _log.warning("bringing images here: %s", error)
                came = False
            failures = failures + 1 if came is False else 0
            if not came:
                await asyncio.sleep(min(IDLE_SECONDS * 2**failures, _LONGEST_PAUSE))

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop()
        while not await self._is_finished():
            began = clock.time()
            try:
                if await self._ledger.follow(self._holder):
                    await self._follower.compare()
            except ConflictError as error:
                _log.info("following the Glance: %s", error)
            except MeltemiError as error:
                _log.warning("following the Glance: %s", error)
            await asyncio.sleep(max(COMPARE_SECONDS, _SHARE * (clock.time() - began)))

    async def _is_finished(self) -> bool:
        try:
            state = await self._ledger.state()
        except MeltemiError:
            return False
        return state is not None and state.stage is Stage.FINISHED
