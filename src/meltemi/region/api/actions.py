"""Actions on an image: deactivate, reactivate, clone."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

from aiohttp import web

from meltemi.errors import ForbiddenError
from meltemi.model.image import Image
from meltemi.model.record import Record
from meltemi.region.answers import document
from meltemi.region.api.data import downloadable
from meltemi.region.api.editing import FORMATS, drafted
from meltemi.region.api.images import must_have_room, now_in_utc
from meltemi.region.api.news import tell
from meltemi.region.api.patch import RESERVED_PREFIX
from meltemi.region.api.wire import shown
from meltemi.region.quotas import COUNT, SIZE, mebibytes
from meltemi.region.service import Call


async def deactivate(call: Call) -> web.Response:
    """Forbid the download of an image's data to all but administrators."""
    return await _switch(call, "deactivate", "active", "deactivated")


async def reactivate(call: Call) -> web.Response:
    """Allow it again."""
    return await _switch(call, "reactivate", "deactivated", "active")


async def clone(call: Call) -> web.Response:
    """Make a new image that has the data of another one; none of it is copied.

    The body may say how the new image differs: any attribute that a new image can be given.
    """
    record = await downloadable(call)
    body = await call.json() if call.request.body_exists else {}
    given = call.service.image_checker.check(body)
    wanted = {**_inherited(record.image), **given}
    if any(wanted[name] != getattr(record.image, name) for name in FORMATS):
        raise ForbiddenError("A clone has the formats of the image whose data it has.")
    image = drafted(wanted.get("id") or str(uuid4()), wanted, call.context.project, now_in_utc())
    call.service.policy.demand_new_image(call.context, wanted)
    # What an operator protects stays on the clone; on top of it comes what its owner may set.
    named = {*call.readable(record.image.properties), *given}
    properties = {key: value for key, value in image.properties.items() if key in named}
    call.must_be_allowed(record.image.properties, properties)
    must_have_room(call, image, None)
    await call.service.quotas.demand(call.context.project, COUNT, 1)
    size = mebibytes(record.image.size or 0)
    await call.service.quotas.demand(call.context.project, SIZE, size)
    made = await call.catalogue.clone(record.image.id, Record(replace(image, status="active")))
    tell(call.service, "image.create", made)
    return document(shown(call, made), status=201, headers={"Location": call.location(made.image)})


def _inherited(image: Image) -> dict[str, Any]:
    attributes = ("name", "min_disk", "min_ram", *FORMATS)
    inherited = {name: getattr(image, name) for name in attributes}
    properties = {
        name: value
        for name, value in image.properties.items()
        if not name.startswith(RESERVED_PREFIX)
    }
    return {**properties, **inherited, "visibility": "private", "tags": sorted(image.tags)}


async def _switch(call: Call, rule: str, before: str, after: str) -> web.Response:
    record = await call.image(rule)
    if record.image.status not in (before, after):
        raise ForbiddenError(f"Not allowed to {rule} image in status '{record.image.status}'")
    record = await call.catalogue.move(record.image.id, expected=(before, after), status=after)
    tell(call.service, "image.update", record)
    return web.Response(status=204)
