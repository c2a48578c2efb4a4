"""From a request's body to an image's data: counted, inspected, hashed, stored, then published."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from meltemi.errors import (
    ConflictError,
    GoneError,
    QuotaError,
    RefusedError,
    VanishedError,
)
from meltemi.model.image import Image
from meltemi.model.record import Content, Record
from meltemi.region.api.editing import FORMATS
from meltemi.region.api.news import tell_begun, tell_failed, tell_filled
from meltemi.region.data.contents import BATCH
from meltemi.region.data.inspection import Inspection
from meltemi.region.service import Service


def must_have_formats(image: Image) -> None:
    """Refuse data for an image that does not say what it is."""
    missing = [name for name in FORMATS if not getattr(image, name)]
    if missing:
        word = "Property" if len(missing) == 1 else "Properties"
        raise RefusedError(f"{word} {', '.join(missing)} must be set prior to saving data.")


async def fill(
    service: Service, image: Image, data: AsyncIterator[bytes], length: int | None
) -> Record:
    """Give a queued image its data, and make it active once all of it is stored and verified.

    `length` is what was announced, in bytes. Whatever goes wrong, the image is queued again.
    """
    holder = service.holder
    record = await service.catalogue.hold(
        image.id, expected=("queued",), status="saving", holder=holder
    )
    tell_begun(service, record)
    try:
        content = await _take(service, record.image, data, length)
        try:
            record = await service.catalogue.move(
                image.id, expected=("saving",), status="active", content=content, holder=holder
            )
        except (VanishedError, ConflictError) as error:
            await service.contents.let_go(content.id)
            raise GoneError(
                f"Image {image.id} could not be found after upload. The image may have been "
                "deleted during the upload, cleaning up the chunks uploaded."
            ) from error
    except BaseException as error:
        if isinstance(error, Exception):
            tell_failed(service, image, error)
        await asyncio.shield(_give_back(service, image.id))
        raise
    tell_filled(service, record)
    return record


async def _take(
    service: Service, image: Image, data: AsyncIterator[bytes], length: int | None
) -> Content:
    inspection = Inspection(image.disk_format, image.container_format)
    largest = service.settings.limits.image_size_cap
    size = 0
    async with service.contents.receiving(image.id) as incoming:
        async for batch in _batches(data):
            size += len(batch)
            if size > largest:
                raise QuotaError(f"The incoming image is too large: more than {largest} bytes")
            inspection.look(batch)
            await incoming.write(batch)
        if length is not None and size != length:
            raise RefusedError(f"Image {image.id}: {size} bytes came, {length} were announced")
        virtual_size = inspection.finish()
        return replace(await incoming.finish(), virtual_size=virtual_size)


async def _batches(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    async for piece in data:
        gathered.append(piece)
        size += len(piece)
        if size >= BATCH:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


async def _give_back(service: Service, image: str) -> None:
    try:
        await service.catalogue.move(
            image, expected=("saving",), status="queued", holder=service.holder
        )
    except (VanishedError, ConflictError):
        return
