"""From a request's body to an image's data: counted, inspected, hashed, stored, then published."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Final

from meltemi.errors import (
    CatalogueError,
    ConflictError,
    GoneError,
    QuotaError,
    RefusedError,
    VanishedError,
)
from meltemi.model.image import Hashes, Image
from meltemi.model.record import Content, Record
from meltemi.region.api.editing import FORMATS
from meltemi.region.api.news import tell_begun, tell_failed, tell_filled
from meltemi.region.data.inspection import Inspection
from meltemi.region.data.janitor import Debt
from meltemi.region.quotas import UPLOADING
from meltemi.region.service import Service

_STAGED: Final = "uploading"


def must_have_formats(image: Image) -> None:
    """Refuse data for an image that does not say what it is."""
    missing = [name for name in FORMATS if not getattr(image, name)]
    if missing:
        word = "Property" if len(missing) == 1 else "Properties"
        raise RefusedError(f"{word} {', '.join(missing)} must be set prior to saving data.")


Taking = Callable[[Image], Awaitable[Content]]
"""Takes in an image's data: stores it, verified, and gives what came of it."""


async def fill(
    service: Service,
    image: Image,
    taking: Taking,
    *,
    project: str | None,
    expected: str | None = None,
) -> Record:
    """Give a queued image its data, and make it active once all of it is stored and verified.

    `project` is that of who sends it, whose quota counts; `expected` the hash that the data has to
    have, by the region's algorithm. Whatever goes wrong, the image is queued again; where it is the
    hash, without its parts.
    """
    facts = (taking, expected)
    return await _receive(service, image.id, *facts, project=project, status="saving")


async def keep_staged(
    service: Service, image: Image, taking: Taking, *, project: str | None
) -> Record:
    """Store data for a queued image that is imported later, and inspected only then."""
    return await _receive(service, image.id, taking, None, project=project, status=_STAGED)


async def _receive(
    service: Service,
    image: str,
    taking: Taking,
    expected: str | None,
    *,
    project: str | None,
    status: str,
) -> Record:
    """Take data in, with the image in a status that says so, and publish or stage it."""
    holder = service.holder
    holding = asyncio.ensure_future(
        service.catalogue.hold(image, expected=("queued",), status=status, holder=holder)
    )
    staged, begun = status == _STAGED, False
    content: Content | None = None
    handing: asyncio.Future[Record] | None = None
    try:
        record = await asyncio.shield(holding)
        service.janitor.excuse(image)
        # Now that it counts as well: of several at once, none slips through.
        await service.quotas.demand(project, UPLOADING)
        if staged:
            # As staged, data has no format yet, and is not inspected.
            taken = replace(record.image, container_format=None)
        else:
            taken = record.image
            tell_begun(service, record)
            begun = True
        content = await taking(taken)
        await must_have_hash(service, image, content.hashes, expected)
        # To its end, also where the client leaves: else it would be unknown who has the data.
        handing = asyncio.ensure_future(_hand_over(service, image, content, status))
        return await asyncio.shield(handing)
    except BaseException as error:
        if begun and isinstance(error, Exception):
            tell_failed(service, image, error)
        debt = Debt(image, status, content)
        await asyncio.shield(_give_back(service, debt, holding, handing))
        raise


async def _hand_over(service: Service, image: str, content: Content, status: str) -> Record:
    """Let an image have the data that came for it."""
    then = _STAGED if status == _STAGED else "active"
    try:
        record = await service.catalogue.move(
            image, expected=(status,), status=then, content=content, holder=service.holder
        )
    except (VanishedError, ConflictError) as error:
        raise GoneError(
            f"Image {image} could not be found after upload. The image may have been "
            "deleted during the upload, cleaning up the chunks uploaded."
        ) from error
    if then == "active":
        tell_filled(service, record)
    return record


async def must_have_hash(service: Service, image: str, found: Hashes, expected: str | None) -> None:
    """Raise RefusedError where an image's data is not what it should be, and forget its parts."""
    if expected in (None, found.value):
        return
    await service.catalogue.drop_parts(image)
    raise RefusedError(
        f"Image {image}: its data has the {found.algorithm} {found.value}, and not the one that it "
        "was to have. It is queued again, and its parts are forgotten."
    )


async def take(
    service: Service, image: Image, data: AsyncIterator[bytes], length: int | None
) -> Content:
    """Store an image's data, inspected as what the image declares, and give what came of it.

    `length` is what was announced, in bytes. Raise RefusedError where it is another, QuotaError
    where it is more than an image may have, MediaTypeError where it is not what was declared.
    """
    inspection = Inspection(image.disk_format, image.container_format)
    largest = service.settings.limits.image_size_cap
    size = 0
    async with service.contents.receiving(image) as incoming:
        async for piece in data:
            size += len(piece)
            if size > largest:
                raise QuotaError(f"The incoming image is too large: more than {largest} bytes")
            if length is not None and size > length:
                raise RefusedError(f"Image {image.id}: {size} bytes came, {length} were announced")
            inspection.look(piece)
            await incoming.write(piece)
        if length is not None and size != length:
            raise RefusedError(f"Image {image.id}: {size} bytes came, {length} were announced")
        virtual_size = inspection.finish()
        return replace(await incoming.finish(), virtual_size=virtual_size)


async def _give_back(
    service: Service,
    debt: Debt,
    holding: asyncio.Future[Record],
    handing: asyncio.Future[Record] | None,
) -> None:
    """Give an image back, if it may be held: a request may end before it is known whether it is."""
    if handing is not None:
        await asyncio.wait([handing])
        if handing.exception() is None:
            return
    await asyncio.wait([holding])
    if holding.exception() is None or isinstance(holding.exception(), CatalogueError):
        await service.janitor.give_back(debt)
