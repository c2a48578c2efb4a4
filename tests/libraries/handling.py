"""Libraries in the hands of tests: data to send, and what was sent."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from meltemi.errors import ConflictError
from meltemi.libraries.base import Library
from meltemi.model.image import Hashes, Image

MIB = 1 << 20
DATA = Random(5).randbytes(3 * MIB + 17)


class SourceBrokeError(Exception):
    """Comes out of a data iterator, and out of nothing else."""


async def pieces(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    """Give data in pieces of `size` bytes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def broken(data: bytes, error: Exception) -> AsyncIterator[bytes]:
    """Give data, and then an error."""
    async for piece in pieces(data):
        yield piece
    raise error


async def content(library: Library, image_id: str, offset: int = 0) -> bytes:
    """Read an image's data from `offset` to its end."""
    return b"".join([piece async for piece in library.read(image_id, offset)])


async def listed(library: Library) -> list[Image]:
    """Give all images of a library in the order it lists them."""
    return [image async for page in library.list_images() for image in page]


async def refilled(library: Library, image_id: str, data: bytes) -> None:
    """Fill an image whose last upload was cut off; a server may need a while to notice that."""
    for _ in range(2400):
        image = await library.show(image_id)
        assert not image.has_data
        if image.status == "queued":
            assert (image.size, image.hashes) == (None, Hashes())
            with suppress(ConflictError):
                await library.upload(image_id, len(data), pieces(data))
                return
        await asyncio.sleep(0.05)
    pytest.fail(f"image {image_id} cannot be filled again")


def hashes_of(data: bytes, algorithm: str | None) -> Hashes:
    """Compute what a library must have recorded."""
    assert algorithm is not None
    checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return Hashes(checksum, algorithm, hashlib.new(algorithm, data).hexdigest())


class ImageMaker:
    """Makes images that the library under test accepts."""

    def new_image(self, **attributes: Any) -> Image:
        """Give an image with a fresh id that the library under test would accept."""
        image = Image(
            id=str(uuid4()),
            name="conformance",
            disk_format="raw",
            container_format="bare",
        )
        return replace(image, **attributes)

    async def active(self, library: Library, data: bytes = DATA, **attributes: Any) -> Image:
        """Put an image with data into the library."""
        image = await library.create(self.new_image(**attributes))
        await library.upload(image.id, len(data), pieces(data))
        return await library.show(image.id)
