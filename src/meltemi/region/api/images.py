"""Images: made, listed, shown, changed, deleted."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import web

from meltemi.errors import (
    ConflictError,
    ForbiddenError,
    MediaTypeError,
    RefusedError,
    StoreError,
    VanishedError,
)
from meltemi.model.image import Image
from meltemi.model.record import Record
from meltemi.region.answers import document
from meltemi.region.api.editing import drafted, edited, must_be_within
from meltemi.region.api.locations import located, prepare_filling
from meltemi.region.api.news import tell, tell_deleted
from meltemi.region.api.patch import MEDIA_TYPES, Change, parse_changes
from meltemi.region.api.query import parse_listing
from meltemi.region.api.wire import STORE, shown
from meltemi.region.quotas import COUNT
from meltemi.region.service import Call
from meltemi.region.targets import of_image, of_project

_log: Final = logging.getLogger(__name__)

_UNSETTABLE: Final = ("direct_url", "self", "file", "schema", "stores")


async def create(call: Call) -> web.Response:
    """Register an image without data."""
    body = await call.json()
    if isinstance(body, dict):
        for name in _UNSETTABLE:
            if name in body:
                raise ForbiddenError(f"Attribute '{name}' is read-only.")
    body = call.service.image_checker.check(body)
    now = now_in_utc()
    identifier = body.get("id") or str(uuid4())
    image = drafted(identifier, body, call.context.project, now)
    call.service.policy.demand_new_image(call.context, body)
    await call.service.quotas.demand(call.context.project, COUNT, 1)
    call.must_be_allowed({}, image.properties)
    must_have_room(call, image, None)
    try:
        record = await call.catalogue.add(Record(image))
    except ConflictError as error:
        raise ConflictError(f"Image ID {identifier} already exists!") from error
    tell(call.service, "image.create", record)
    headers = {"Location": call.location(image), "OpenStack-image-store-ids": STORE}
    if call.settings.import_methods:
        headers["OpenStack-image-import-methods"] = ",".join(call.settings.import_methods)
    return document(shown(call, record), status=201, headers=headers)


async def listing(call: Call) -> web.Response:
    """Give a page of the images that are asked for."""
    wanted = parse_listing(
        call.request.query,
        call.context.viewer,
        page=call.settings.page,
        longest_page=call.settings.longest_page,
    )
    call.service.policy.demand(call.context, "get_images", of_project(call.context))
    try:
        found = await call.catalogue.page(wanted)
    except VanishedError as error:
        raise RefusedError(f"No image found with ID {wanted.marker}") from error
    if call.readable(wanted.properties).keys() != wanted.properties.keys():
        found = []  # nobody is told whether a property has a value that they may not read
    seen = [record for record in found if call.may("get_image", record.image)]
    query = dict(call.request.query.items())  # the last one counts
    query.pop("marker", None)
    body: dict[str, Any] = {
        "images": [shown(call, record) for record in seen],
        "first": f"/v2/images?{urlencode(query)}" if query else "/v2/images",
        "schema": "/v2/schemas/images",
    }
    if seen and len(found) == wanted.limit:
        query["marker"] = seen[-1].image.id
        body["next"] = f"/v2/images?{urlencode(query)}"
    return document(body)


async def show(call: Call) -> web.Response:
    """Give one image."""
    return document(shown(call, await call.image()))


async def update(call: Call) -> web.Response:
    """Change an image."""
    media_type = call.request.content_type
    if media_type not in MEDIA_TYPES:
        expected = ", ".join(MEDIA_TYPES)
        raise MediaTypeError(
            f"Image PATCH expects Content-Type one of: {expected}",
            headers={"Accept-Patch": expected},
        )
    changes = parse_changes(await call.json(), media_type, call.service.image_checker)

    def edit(image: Image) -> Image:
        return _changed(call, image, changes)

    filling = await prepare_filling(call, edit, changes)
    record = await call.change(edit)
    if changes:
        tell(call.service, "image.update", record)
    if filling is not None:
        record = await filling()
    return document(shown(call, record))


async def delete(call: Call) -> web.Response:
    """Delete an image; its data goes where no other image has it."""
    record = await call.image(
        "delete_image", missing=f"Failed to find image {call.image_id} to delete"
    )
    if record.image.protected:
        raise ForbiddenError(f"Image {record.image.id} is protected and cannot be deleted.")
    content = await call.catalogue.remove(record.image.id)
    tell_deleted(call, record)
    if content is not None:
        try:
            await call.service.contents.let_go(content.id)
        except StoreError as error:  # the janitor does it once the store is back
            _log.warning("data %s: it is not let go yet: %s", content.id, error)
    return web.Response(status=204)


def _changed(call: Call, image: Image, changes: list[Change]) -> Image:
    if not changes:
        call.demand("get_image", image)
    for change in changes:
        if change.attribute == "locations":
            continue  # that is for `located` to say
        if change.attribute == "owner" and not call.context.is_admin:
            raise ForbiddenError("Owner can't be updated by non admin.")
        if change.attribute == "visibility" and change.operation != "remove":
            facts = {**of_image(call.context, image), "visibility": change.value}
            call.service.policy.demand_visibility(call.context, facts)
        call.demand("modify_image", image)
    seen = replace(image, properties=call.readable(image.properties))
    result = replace(edited(seen, changes, partial(located, call)), status=image.status)
    call.must_be_allowed(image.properties, result.properties)
    hidden = {key: value for key, value in image.properties.items() if key not in seen.properties}
    result = replace(result, properties={**hidden, **result.properties})
    must_have_room(call, result, image)
    return result


def must_have_room(call: Call, image: Image, before: Image | None) -> None:
    """Raise QuotaError where an image has more properties or tags than it may, and than before."""
    limits = call.settings.limits
    must_be_within(
        image, before, properties=limits.image_property_quota, tags=limits.image_tag_quota
    )


def now_in_utc() -> str:
    """Give the time as a catalogue has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
