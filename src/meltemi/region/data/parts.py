"""Taking in parts: data that comes in advance for an image which is put together."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final
from uuid import uuid4

from meltemi.chunks.blob import Buffer
from meltemi.errors import MeltemiError
from meltemi.model.image import Image
from meltemi.model.record import Part
from meltemi.region.data.contents import name_of_part
from meltemi.region.quotas import STAGED, mebibytes
from meltemi.region.service import Service

_log: Final = logging.getLogger(__name__)


async def keep_part(
    service: Service,
    image: Image,
    number: int,
    unpack: Callable[[], Sequence[Buffer]],
    project: str | None,
) -> None:
    """Store the pieces of a batch, which `unpack` gives, as a part of an image.

    Raise ConflictError where the image takes none, or has one of that number; QuotaError where it
    is too much for the project of who brings it; and what `unpack` raises.
    """
    async with service.pieces.turns:
        pieces = await service.contents.to_its_end(unpack)
        await service.quotas.demand(project, STAGED, mebibytes(sum(map(len, pieces))))
        await _store(service, image, number, pieces)


async def _store(service: Service, image: Image, number: int, pieces: Sequence[Buffer]) -> None:
    """Store a part under a holder of its own.

    It dies of its own accord if this process does. Buried, it can bring nothing any more; so what
    it left can be let go, and what counts never is.
    """
    holder = uuid4().hex
    name = name_of_part(image, holder)
    adding: asyncio.Future[None] | None = None
    try:
        await service.catalogue.beat(holder)
        content = await service.contents.keep(image, pieces, name)
        # To its end, also where the client leaves: else it would be unknown whose the data is.
        part = Part(number, content.id, content.size)
        adding = asyncio.ensure_future(service.catalogue.add_part(image.id, part, holder))
        await asyncio.shield(adding)
    except BaseException:
        await asyncio.shield(_give_up(service, holder, name, adding))
        raise


async def _give_up(
    service: Service, holder: str, name: str, adding: asyncio.Future[None] | None
) -> None:
    if adding is not None:
        await asyncio.wait([adding])
        if adding.exception() is None:
            return
    try:
        await service.catalogue.bury(holder)
        if not await service.catalogue.known([name]):
            await service.contents.let_go(name)
    except MeltemiError as error:
        _log.warning("data %s: it is not let go yet: %s", name, error)
        service.janitor.look_again()
