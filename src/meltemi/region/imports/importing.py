"""An import from its beginning to its end, in the background."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from meltemi.chunks.exchange.delta import Stretch, Stretches
from meltemi.errors import (
    CatalogueError,
    ConflictError,
    CorruptionError,
    IdentityError,
    MeltemiError,
    QuotaError,
    StoreError,
    UnavailableError,
    VanishedError,
)
from meltemi.model.image import Image
from meltemi.model.record import Content, Record
from meltemi.model.task import Carried, Task
from meltemi.region.api.news import tell_begun, tell_failed, tell_filled
from meltemi.region.api.wire import STORE
from meltemi.region.background import MENDING, READING, fetching
from meltemi.region.data.inspection import Inspection
from meltemi.region.data.uploading import take
from meltemi.region.imports.source import Fetched, Source, contradicts
from meltemi.region.quotas import SIZE, STAGED, UPLOADING, mebibytes
from meltemi.region.service import Service

STEP_SECONDS: Final = 5.0
"""How often an import tells how far it is, and learns whether its image is still there."""

LOCATION_TASK: Final = "location_import"
"""The type of tasks that give an image its data from a location."""

_INTERNAL: Final = "Task failed due to Internal Error"
"""What users are told of failures that are not theirs."""

_log: Final = logging.getLogger(__name__)

_Data = TypeVar("_Data")


async def begin_import(
    service: Service, task: Task, expected: str, source: Source | None
) -> tuple[Task, Record]:
    """Take in a task and begin to import its image, which has to be in a status; give both.

    The image is held and at work on, or neither, also where the request ends in the middle.
    """
    # As in Glance, what gets its data from a location does not show that it is being imported.
    store = None if task.type == LOCATION_TASK else STORE

    async def begin() -> tuple[Task, Record]:
        try:
            added, record = await service.tasks.begin(
                task, expected=(expected,), store=store, holder=service.holder
            )
        except CatalogueError:
            # It may have begun all the same, with nobody at work on it.
            service.background.start(_give_up(service, task, _INTERNAL, None), MENDING)
            raise
        queue = READING if source is None else fetching(task.owner)
        service.background.start(_import(service, added, record, source), queue)
        return added, record

    return await asyncio.shield(asyncio.create_task(begin()))


async def _import(service: Service, task: Task, record: Record, source: Source | None) -> None:
    """Give an image that a task holds its data: from a source, or what was staged for it.

    It ends with an active image or with a queued one, and a task that tells why. Cancelled, it
    leaves both as they are, for `Catalogue.bury`.
    """
    content: Content | None = None
    try:
        await service.tasks.advance(task.id, holder=service.holder)
        await _must_be_within_quotas(service, task, record.image, source)
        tell_begun(service, record)
        with service.meter.uploads.track_inprogress():
            if source is None:
                done = await _adopt(service, task, record)
            else:
                content, carried = await _bring(service, task, record.image, source)
                done = await service.tasks.succeed(
                    task.id, holder=service.holder, content=content, carried=carried
                )
    except VanishedError:
        message = "Image has been deleted, aborting import."
    except (StoreError, CatalogueError, IdentityError) as error:
        _log.error("image %s: its import failed: %s", record.image.id, error)
        message = _INTERNAL
    except UnavailableError as error:
        _log.error("image %s: its import failed: %s", record.image.id, error)
        message = error.told
    except MeltemiError as error:
        message = str(error)
    except Exception:  # noqa: BLE001 - whatever a defect is, the image is given back
        _log.exception("image %s: a defect in its import", record.image.id)
        message = _INTERNAL
    else:
        tell_filled(service, done)
        return
    tell_failed(service, record.image.id, message)
    await _give_up(service, task, message, content)


async def _must_be_within_quotas(
    service: Service, task: Task, image: Image, source: Source | None
) -> None:
    """Raise QuotaError where an import would be too much for the project that asked for it.

    What was staged counts as that by now, and its size is known. What is fetched is not.
    """
    if source is None:
        await service.quotas.demand(task.owner, SIZE, mebibytes(image.size or 0))
    else:
        await service.quotas.demand(task.owner, STAGED)
        await service.quotas.demand(task.owner, UPLOADING)


async def _adopt(service: Service, task: Task, record: Record) -> Record:
    """Let what was staged be the image's data, if it is what it should be; nothing is copied."""
    image = record.image
    inspection = Inspection(image.disk_format, image.container_format)
    async with aclosing(service.contents.read(record.content or "")) as data:
        async for batch in _watched(service, task, data, len):
            inspection.look(bytes(batch))
    virtual_size = inspection.finish()
    return await service.tasks.succeed(task.id, holder=service.holder, virtual_size=virtual_size)


async def _bring(
    service: Service, task: Task, image: Image, source: Source
) -> tuple[Content, Carried | None]:
    try:
        async with source as fetched:
            return await _taken(service, task, image, fetched), fetched.carried
    except CorruptionError:
        await service.catalogue.drop_parts(image.id)  # they may be what is wrong
        raise


async def _taken(service: Service, task: Task, image: Image, fetched: Fetched) -> Content:
    carried = fetched.carried
    if carried is not None:
        formats = (carried.disk_format, carried.container_format)
        image = replace(image, disk_format=formats[0], container_format=formats[1])
    largest = service.settings.limits.image_size_cap
    if (fetched.length or 0) > largest:
        raise QuotaError(f"The incoming image is too large: more than {largest} bytes")
    content = await _stored(service, task, image, fetched)
    if contradicts(content.hashes, fetched.hashes):
        await service.contents.let_go(content.id)
        raise CorruptionError(f"image {image.id}: what came does not have the hash it should")
    return content


async def _stored(service: Service, task: Task, image: Image, fetched: Fetched) -> Content:
    """Store what comes; it is read, hashed and inspected, unless somebody vouches for it."""
    size = fetched.length
    if fetched.pulled is not None and size is not None:
        content = await fetched.pulled.vouched(image, size, partial(_followed, service, task))
        if content is not None:
            return content
    return await take(service, image, _watched(service, task, fetched.data, len), size)


async def _followed(service: Service, task: Task, stretches: Stretches) -> Stretches:
    async with aclosing(stretches):
        async for some in _watched(service, task, stretches, _length):
            yield some


def _length(stretches: Sequence[Stretch]) -> int:
    return sum(one.length for one in stretches)


async def _watched(
    service: Service, task: Task, data: AsyncIterator[_Data], measure: Callable[[_Data], int]
) -> AsyncIterator[_Data]:
    """Pass data on, and raise VanishedError or ConflictError where it is not wanted any more."""
    clock = asyncio.get_running_loop()
    told, size = clock.time(), 0
    async for piece in data:
        size += measure(piece)
        if clock.time() - told >= STEP_SECONDS:
            message = f"Copied {size // 2**20} MiB"
            await service.tasks.advance(task.id, holder=service.holder, message=message)
            told = clock.time()
        yield piece


async def _give_up(service: Service, task: Task, message: str, content: Content | None) -> None:
    """Give the image back, as soon as the catalogue takes it; who lives is not buried.

    Data that it did not get is let go; where the database was away, it may have got it.
    """
    while True:
        try:
            with suppress(ConflictError, VanishedError):
                await service.tasks.fail(task.id, message, holder=service.holder)
            if content and not await service.catalogue.known([content.id]):
                await service.contents.let_go(content.id)
        except MeltemiError as error:
            _log.warning("image %s: it is not given back yet: %s", task.image_id, error)
            await asyncio.sleep(STEP_SECONDS)
        else:
            return
