"""Small archives, for tests of the command that need no service."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from meltemi.libraries.archive import open_archive
from meltemi.model.image import Image


def make_archive(path: Path, images: Mapping[str, bytes]) -> dict[str, str]:
    """Write an archive of images by name; give their ids, which follow from the names."""
    ids = {name: str(uuid5(NAMESPACE_OID, name)) for name in images}
    put_images(path, [(raw(ids[name], name), data) for name, data in images.items()])
    return ids


def raw(image: str, name: str, owner: str | None = None) -> Image:
    """Give the metadata of an image of raw data."""
    return Image(image, name=name, owner=owner, disk_format="raw", container_format="bare")


def put_images(path: Path, images: Iterable[tuple[Image, bytes]]) -> None:
    """Put images into an archive, which is made where there is none."""

    async def write() -> None:
        archive = open_archive(path, name="made", writable=True)
        try:
            for image, data in images:
                await archive.create(image)
                await archive.upload(image.id, len(data), _one_piece(data))
        finally:
            await archive.close()

    asyncio.run(write())


async def _one_piece(data: bytes) -> AsyncIterator[bytes]:
    yield data
