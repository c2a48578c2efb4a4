"""Folders that `glance-replicator dump` wrote, as a source.

It puts the Image API v1's metadata of every image into `<id>`, as JSON, and the data of an active
one into `<id>.img` (glance/cmd/replicator.py). There is no manifest and no hash but the md5 in
the metadata.
"""

from collections.abc import AsyncIterator
from itertools import islice
from typing import Final
from uuid import UUID

from meltemi.errors import ArchiveError, ConflictError, VanishedError
from meltemi.libraries.archive import data, layout, legacy_metadata, metadata
from meltemi.libraries.archive.files import Folder, shown
from meltemi.libraries.archive.readonly import ReadOnly
from meltemi.model.image import Image, Member
from meltemi.threads import in_thread

_DATA: Final = ".img"
_PAGE: Final = 100


class LegacyArchive(ReadOnly):
    """A folder of glance-replicator's; an image whose data was not dumped is queued."""

    def __init__(self, name: str, root: Folder) -> None:
        super().__init__(name, root.path, "was written by glance-replicator and can only be read")
        self._root = root
        self._ids: dict[str, None] | None = None

    async def list_images(self) -> AsyncIterator[list[Image]]:
        """Give every image once, in pages ascending by id, after the whole folder is checked."""
        ids = iter(await in_thread(self._checked))
        while page := list(islice(ids, _PAGE)):
            yield await in_thread(self._images, page)

    async def show(self, image_id: str) -> Image:
        """Give one image."""
        if image_id not in await in_thread(self._checked):
            raise VanishedError(f"there is no image {image_id} in {self._where}")
        return await in_thread(self._image, image_id)

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Give none: glance-replicator does not dump members."""
        await self.show(image_id)
        return ()

    async def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Give the image's data from `offset` on."""
        image = await self.show(image_id)
        if not image.has_data:
            raise ConflictError(f"image {image.label} in {self._where} has no data")
        name = f"{image_id}{_DATA}"
        path = self._root.path / name
        async for block in data.stream(lambda: self._root.open_file(name), path, offset):
            yield block

    async def verify(self, image_id: str) -> None:
        """Keep the contract of `Verifiable`, as far as glance-replicator recorded md5 and size."""
        image = await self.show(image_id)
        path = self._root.path / f"{image_id}{_DATA}"
        await data.verify(self.read(image_id), image.label, path, image.size, image.hashes)

    async def close(self) -> None:
        """Let go of the folder; a second time does nothing."""
        self._root.close()

    def _checked(self) -> dict[str, None]:
        if self._ids is None:
            names = set(self._root.names())
            for name in names:
                self._check_name(name, names)
            ids = dict.fromkeys(sorted(filter(layout.is_uuid, names)))
            for image_id in ids:
                self._image(image_id)
            self._ids = ids
        return self._ids

    def _check_name(self, name: str, names: set[str]) -> None:
        stem = name.removesuffix(_DATA)
        if not layout.is_uuid(stem):
            try:
                UUID(stem)
            except ValueError:
                return
            where = shown(self._root.path / name)
            raise ArchiveError(f"{where} is not named as OpenStack writes a UUID; rename it")
        if stem not in names:
            where = shown(self._root.path / name)
            raise ArchiveError(f"{where} has no metadata; restore {stem}, or move the file away")

    def _images(self, image_ids: list[str]) -> list[Image]:
        return [self._image(image_id) for image_id in image_ids]

    def _image(self, image_id: str) -> Image:
        path = self._root.path / image_id
        raw = self._root.read(image_id, metadata.LIMIT)
        name = f"{image_id}{_DATA}"
        size = self._root.size(name) if self._root.has(name) else None
        try:
            return legacy_metadata.decode(raw, image_id=image_id, data_size=size)
        except ValueError as error:
            raise ArchiveError(
                f"{shown(path)}: {error}; restore it, or move it and its data away"
            ) from error
