"""One reading of a source's listing for several targets, each at its own pace."""

import asyncio
from collections.abc import AsyncIterator

from meltemi.libraries.base import Library
from meltemi.libraries.wrapping import Wrapped
from meltemi.model.image import Image


class SharedListing(Wrapped):
    """A source whose listing is read once, however many look at it; what was read is kept."""

    def __init__(self, inner: Library) -> None:
        super().__init__(inner)
        self._pages: list[list[Image]] = []
        self._ended = False
        self._error: Exception | None = None
        self._more = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None

    async def list_images(self) -> AsyncIterator[list[Image]]:
        """Give every image, from the first page on."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        place = 0
        while True:
            async with self._more:
                while place == len(self._pages) and not self._ended:
                    await self._more.wait()
            if place < len(self._pages):
                # A copy, since who reads a listing may work on its pages.
                yield list(self._pages[place])
                place += 1
            elif self._error is not None:
                raise self._error
            else:
                return

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for page in self._inner.list_images():
                async with self._more:
                    self._pages.append(page)
                    self._more.notify_all()
        except Exception as error:  # noqa: BLE001 - raised where the listing is read
            self._error = error
        finally:
            self._ended = True
            async with self._more:
                self._more.notify_all()


class OwnersListing(Wrapped):
    """A source of which one project's images are listed; `others` are the ids of all others."""

    def __init__(self, inner: Library, owner: str) -> None:
        super().__init__(inner)
        self._owner = owner
        self.others: set[str] = set()

    async def list_images(self) -> AsyncIterator[list[Image]]:
        """Give the project's images."""
        async for page in self._inner.list_images():
            self.others |= {image.id for image in page if image.owner != self._owner}
            if mine := [image for image in page if image.owner == self._owner]:
                yield mine
