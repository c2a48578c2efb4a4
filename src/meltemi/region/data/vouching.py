"""Putting images together for whose data a trusted region vouches, so that nothing is read."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from meltemi.chunks.writer import Known
from meltemi.errors import MeltemiError
from meltemi.model.image import Image
from meltemi.model.record import Content
from meltemi.region.bindings import Vouched
from meltemi.region.data.assembling import Assembly
from meltemi.region.data.uploading import take
from meltemi.region.service import Service

_log: Final = logging.getLogger(__name__)


async def put_together(
    service: Service, image: Image, assembly: Assembly, size: int, vouched: Vouched | None
) -> Content:
    """Store an image's data as it is put together, and give what came of it.

    What is vouched for is only referred to; anything else is read, hashed and inspected.
    """
    if vouched is None:
        async with aclosing(assembly.data()) as data:
            return await take(service, image, data, size)
    content = await _referred(service, image, assembly, vouched)
    if content.hashes:
        _log.info("image %s: %s vouches for its data", image.id, vouched.issuer)
        return replace(content, virtual_size=vouched.virtual_size, binding=vouched.text)
    _log.info("image %s: it is not the data for which %s vouches", image.id, vouched.issuer)
    try:
        return await take(service, image, _read(service, content), size)
    finally:
        await asyncio.shield(_let_go(service, content))


async def _referred(
    service: Service, image: Image, assembly: Assembly, vouched: Vouched
) -> Content:
    """Store what the data consists of; without hashes where that is not what is vouched for."""
    algorithm, value = str(vouched.hashes.algorithm), str(vouched.hashes.value)
    known = Known(vouched.root, {"md5": str(vouched.hashes.checksum), algorithm: value})
    async with service.contents.receiving(image, known) as incoming:
        async with aclosing(assembly.references()) as references:
            async for entries in references:
                await incoming.refer(entries)
        return await incoming.finish()


async def _read(service: Service, content: Content) -> AsyncIterator[bytes]:
    async with aclosing(service.contents.read(content.id)) as pieces:
        async for piece in pieces:
            yield bytes(piece)


async def _let_go(service: Service, content: Content) -> None:
    try:
        await service.contents.let_go(content.id)
    except MeltemiError as error:
        _log.warning("data %s: it is let go once this process has ended: %s", content.id, error)
