"""Tidying up after those who died at work, and letting go of data that no image has any more."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from meltemi.catalogue.base import Catalogue
from meltemi.catalogue.tasks_base import Tasks
from meltemi.errors import ConflictError, MeltemiError, VanishedError
from meltemi.model.record import Content
from meltemi.region.data.contents import Contents
from meltemi.region.metering import Meter

BEAT_SECONDS: Final = 5.0

PATIENCE_SECONDS: Final = 30.0
"""How long a heart may stand still before its owner counts as dead."""

_AT_ONCE: Final = 500

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Debt:
    """An image that this process holds in a status, and is to give back; what data it may have."""

    image: str
    status: str
    content: Content | None = None


class Janitor:
    """Lets one process's heart beat, and watches those of the others."""

    def __init__(
        self,
        catalogue: Catalogue,
        tasks: Tasks,
        contents: Contents,
        holder: str,
        meter: Meter,
    ) -> None:
        self._catalogue = catalogue
        self._tasks = tasks
        self._contents = contents
        self._holder = holder
        self._meter = meter
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked = 0.0
        self._dead: set[str] = set()
        self._debts: dict[str, Debt] = {}
        self._tidied = False

    async def run(self) -> None:
        """Work until cancelled; what fails is tried again with the next beat."""
        async with asyncio.TaskGroup() as tasks:
            # Apart: a heart must not stand still while there is much to tidy up.
            tasks.create_task(_again(self._beat))
            tasks.create_task(_again(self._tidy))

    async def give_back(self, debt: Debt) -> None:
        """Queue an image again, with a later beat where the database does not take it now.

        Data that it did not get is let go; whether it did may not have been known until now.
        """
        try:
            await self._pay(debt)
        except MeltemiError as error:
            _log.warning("image %s: it is not given back yet: %s", debt.image, error)
            self._debts[debt.image] = debt

    def excuse(self, image: str) -> None:
        """Say that this process holds an image anew: so it was given back."""
        self._debts.pop(image, None)

    def look_again(self) -> None:
        """Say that data may be left over, though nobody died: with the next beat it is let go."""
        self._tidied = False

    async def work(self) -> None:
        """Do once whatever is to be done."""
        await self._beat()
        await self._tidy()

    async def _tidy(self) -> None:
        for debt in list(self._debts.values()):
            await self._pay(debt)
            if self._debts.get(debt.image) is debt:
                del self._debts[debt.image]
        for holder in sorted(self._dead):
            for image in await self._catalogue.bury(holder):
                _log.warning("image %s: whoever brought its data is dead; it is queued", image)
                self._meter.queued_again.inc()
            self._dead.discard(holder)
            self._tidied = False
        if not self._tidied:
            await self._drop_left_over()
            self._tidied = True
        await self._tasks.expire()
        for content in await self._catalogue.loose():
            await self._contents.let_go(content.id)
            await self._catalogue.forget(content.id)

    async def _beat(self) -> None:
        try:
            hearts = await self._catalogue.beat(self._holder)
        except MeltemiError:
            self._seen.clear()  # nobody's heart could beat, and the dead are dead a little later
            raise
        self._dead.update(self._silent(hearts))
        self._dead &= hearts.keys()

    async def _pay(self, debt: Debt) -> None:
        with suppress(VanishedError, ConflictError):
            await self._catalogue.move(
                debt.image, expected=(debt.status,), status="queued", holder=self._holder
            )
        # Asked only now, since a transaction whose end was not heard of may have lasted until now.
        if debt.content and not await self._catalogue.known([debt.content.id]):
            await self._contents.let_go(debt.content.id)

    def _silent(self, hearts: Mapping[str, int]) -> Sequence[str]:
        now = time.monotonic()
        if now - self._looked > 3 * BEAT_SECONDS:
            self._seen.clear()  # what was not looked at may have beaten all the while
        self._looked = now
        seen = {holder: self._seen.get(holder, (-1, now)) for holder in hearts}
        self._seen = {
            holder: seen[holder] if seen[holder][0] == beats else (beats, now)
            for holder, beats in hearts.items()
        }
        return [
            holder
            for holder, (_, since) in self._seen.items()
            if holder != self._holder and now - since >= PATIENCE_SECONDS
        ]

    async def _drop_left_over(self) -> None:
        """Let go of data that was stored, and whose image never got it.

        Who lives is asked after what is stored: a process that has just come stores nothing
        before its heart beats.
        """
        stored = await self._contents.stored()
        living = await self._catalogue.beat(self._holder)
        left = [name for name, holder in stored.items() if holder not in living]
        for first in range(0, len(left), _AT_ONCE):
            names = left[first : first + _AT_ONCE]
            known = await self._catalogue.known(names)
            for name in names:
                if name not in known:
                    _log.info("data %s: its image never got it; let go", name)
                    await self._contents.let_go(name)


async def _again(step: Callable[[], Awaitable[None]]) -> None:
    """Do something with every beat."""
    while True:
        try:
            await step()
        except MeltemiError as error:
            _log.warning("tidying up: %s", error)
        await asyncio.sleep(BEAT_SECONDS)
