"""Small archives, for tests of the command that need no service."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from meltemi.libraries.archive import open_archive
from meltemi.model.image import Image


def make_archive(path: Path, images: Mapping[str, bytes]) -> dict[str, str]:
    """Write an archive of images by name; give their ids, which follow from the names."""
    ids = {name: str(uuid5(NAMESPACE_OID, name)) for name in images}

    async def write() -> None:
        archive = open_archive(path, name="made", writable=True)
        try:
            for name, data in images.items():
                image = Image(ids[name], name=name, disk_format="raw", container_format="bare")
                await archive.create(image)
                await archive.upload(image.id, len(data), _one_piece(data))
        finally:
            await archive.close()

    asyncio.run(write())
    return ids


async def _one_piece(data: bytes) -> AsyncIterator[bytes]:
    yield data
