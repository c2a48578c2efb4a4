"""An archive that its first image makes, so that a run that fails before leaves nothing behind."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from meltemi.errors import BusyError, ImageError, MeltemiError, UsageError
from meltemi.libraries.archive.absent import AbsentArchive
from meltemi.libraries.archive.files import shown
from meltemi.libraries.base import Changes, Library, Verifiable
from meltemi.model.image import Image, Member
from meltemi.threads import in_thread


class UnmadeArchive:
    """Is an empty archive until `create`, and from then on the one that was made."""

    project: str | None = None
    keeps_owners = True

    def __init__(self, name: str, place: Path | str, make: Callable[[], Library]) -> None:
        self._now: Library = AbsentArchive(name, place)
        self._make_it = make
        self._made = False
        self._making = asyncio.Lock()
        self.name = name
        self.identity = self._now.identity

    def list_images(self) -> AsyncIterator[list[Image]]:
        """Give every image once."""
        return self._now.list_images()

    async def show(self, image_id: str) -> Image:
        """Give one image."""
        return await self._now.show(image_id)

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Give the projects that an image is offered to."""
        return await self._now.list_members(image_id)

    def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Give the image's data from `offset` on."""
        return self._now.read(image_id, offset)

    async def verify(self, image_id: str) -> None:
        """Keep the contract of `Verifiable`."""
        if isinstance(self._now, Verifiable):
            await self._now.verify(image_id)

    async def create(self, image: Image) -> Image:
        """Make the archive where that has not been done, and add a queued image."""
        async with self._making:
            if not self._made:
                self._now = await self._make()
                self._made = True
        return await self._now.create(image)

    async def upload(self, image_id: str, size: int, data: AsyncIterator[bytes]) -> None:
        """Store the image's data."""
        await self._now.upload(image_id, size, data)

    async def update(self, image_id: str, changes: Changes) -> Image:
        """Change attributes and properties."""
        return await self._now.update(image_id, changes)

    async def add_member(self, image_id: str, member: Member) -> None:
        """Offer a shared image to a project."""
        await self._now.add_member(image_id, member)

    async def remove_member(self, image_id: str, project: str) -> None:
        """Withdraw the offer."""
        await self._now.remove_member(image_id, project)

    async def delete(self, image_id: str) -> None:
        """Delete the image."""
        await self._now.delete(image_id)

    async def close(self) -> None:
        """Let go of the archive, where there is one."""
        await self._now.close()

    async def _make(self) -> Library:
        try:
            return await in_thread(self._make_it)
        except BusyError as error:  # of the whole archive, and not of one image
            raise ImageError(str(error), library=self.name) from error
        except MeltemiError as error:
            error.library = self.name
            raise


def check_place(path: Path) -> None:
    """Raise UsageError where an archive that is not there cannot be made either."""
    path = path.resolve()
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not there.is_dir():
        raise UsageError(f"{shown(there)} is no folder; name another place for the archive")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{shown(there)} cannot be written; name another place for the archive")
