"""An archive as a source: what `load` reads."""

import os
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from meltemi.errors import VanishedError
from meltemi.libraries.archive import data
from meltemi.libraries.archive.contents import Contents
from meltemi.libraries.archive.metadata import Described
from meltemi.libraries.archive.readonly import ReadOnly
from meltemi.model.image import Hashes, Image, Member
from meltemi.threads import in_thread

_PAGE: Final = 100


class Listing(Protocol):
    """What is known of an archive's images. Every method blocks."""

    def ids(self) -> list[str]:
        """Give the ids of all images, ascending."""
        ...

    def describe(self, *image_ids: str) -> list[Described]:
        """Give those of the images that are there, with their members."""
        ...


class MetadataReader(ReadOnly):
    """The metadata of an archive that is only read."""

    def __init__(self, name: str, place: Path | str, contents: Listing) -> None:
        super().__init__(name, place, "is open for reading only")
        self._listing = contents

    async def list_images(self) -> AsyncIterator[list[Image]]:
        """Give every image once, queued and hidden ones included, in pages ascending by id."""
        ids = iter(await in_thread(self._listing.ids))
        while page := list(islice(ids, _PAGE)):
            yield [image for image, _ in await in_thread(self._listing.describe, *page)]

    async def show(self, image_id: str) -> Image:
        """Give one image."""
        return (await self._describe(image_id))[0]

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Give the projects that an image is offered to, ordered by project."""
        return (await self._describe(image_id))[1]

    async def _describe(self, image_id: str) -> Described:
        for described in await in_thread(self._listing.describe, image_id):
            return described
        raise VanishedError(f"there is no image {image_id} in {self._where}")


class ArchiveReader(MetadataReader):
    """An archive that is only read. Its structure is checked at the first use of any kind."""

    def __init__(self, name: str, path: Path, contents: Contents, lock: int) -> None:
        super().__init__(name, path, contents)
        self._contents = contents
        self._lock = lock

    async def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Give the image's data from `offset` on."""
        stored = await in_thread(self._contents.data, image_id)
        images = self._contents.images
        path = images.path / stored.file
        async for block in data.stream(lambda: images.open_file(stored.file), path, offset):
            yield block

    async def verify(self, image_id: str) -> None:
        """Keep the contract of `Verifiable`."""
        image = await self.show(image_id)
        stored = await in_thread(self._contents.data, image_id)
        recorded = Hashes(image.hashes.checksum, "sha512", stored.sha512)
        path = self._contents.images.path / stored.file
        await data.verify(self.read(image_id), image.label, path, stored.size, recorded)

    async def close(self) -> None:
        """Release the lock and all files; a second time does nothing."""
        await in_thread(self._close)

    def _close(self) -> None:
        self._contents.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
