"""Taking over what the Glance has and what changes there: it is the truth until the end."""

import asyncio
from typing import Final

from meltemi.catalogue.adopting_base import Known, Ledger
from meltemi.errors import StaleRecordError, VanishedError
from meltemi.model.image import Image
from meltemi.region.adoption.origin import Origin

_TRIES: Final = 10
"""How often an image is read anew when another read it at the same time."""

_AT_ONCE: Final = 8
"""Requests about single images that the Glance gets at once."""


class Follower:
    """Compares a Glance with the catalogue; `name` tells it from all other followers."""

    def __init__(self, origin: Origin, ledger: Ledger, name: str) -> None:
        self._origin = origin
        self._ledger = ledger
        self._name = name
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def follow(self, image: str) -> None:
        """Take over one image as it is now, or that it is gone.

        The version is looked up first: whatever is read afterwards is not older than what has it.
        """
        for left in reversed(range(_TRIES)):
            version = await self._ledger.version(image)
            try:
                found = await self._known(await self._origin.show(image))
            except VanishedError:
                found = None
            try:
                if found is not None:
                    await self._ledger.take(found, version)
                elif version is not None:
                    await self._ledger.drop(image, version)
            except StaleRecordError:
                if not left:
                    raise
            else:
                return

    async def compare(self) -> None:
        """Take over everything that is other in the Glance; ConflictError where another does it."""
        gone = set(await self._ledger.names())
        async for page in self._origin.pages():
            there = await self._ledger.known([image.id for image in page])
            gone.difference_update(image.id for image in page)
            found = await self._gather(page)
            new = [one for one in found if one.image.id not in there]
            if new:
                await self._ledger.add(self._name, new)
            for one in found:
                if one.image.id in there and one != there[one.image.id]:
                    await self.follow(one.image.id)
        for image in sorted(gone):
            await self.follow(image)
        await self._ledger.compared(self._name)

    async def _gather(self, page: list[Image]) -> list[Known]:
        """Read the members of images; those that are gone by now are left out."""
        found = await asyncio.gather(*(self._if_there(image) for image in page))
        return [one for one in found if one is not None]

    async def _if_there(self, image: Image) -> Known | None:
        try:
            return await self._known(image)
        except VanishedError:
            return None

    async def _known(self, image: Image) -> Known:
        if image.visibility != "shared":
            return Known(image)
        async with self._turns:
            return Known(image, await self._origin.members(image))
