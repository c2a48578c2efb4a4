"""Imports: an image gets its data from where it was staged, from the web, or from elsewhere."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

from aiohttp import web

from meltemi.chunks.exchange.delta import MOST_IMAGES
from meltemi.errors import ConflictError, ImageError, RefusedError, VanishedError
from meltemi.model.image import Image
from meltemi.model.record import Record
from meltemi.model.task import Task
from meltemi.region.api.data import unknown_store
from meltemi.region.api.editing import FORMATS
from meltemi.region.api.exchange import base_of
from meltemi.region.api.wire import STORE
from meltemi.region.imports.importing import begin_import
from meltemi.region.imports.pulling import Puller
from meltemi.region.imports.source import Source
from meltemi.region.quotas import SIZE
from meltemi.region.service import Call

_log: Final = logging.getLogger(__name__)

_STAGED: Final = "uploading"
_NEEDED: Final = ("glance_region", "glance_image_id")


async def begin(call: Call) -> web.Response:
    """Begin the import of an image, and answer before it has come far."""
    body = await call.json()
    method = _method(body, call.settings.import_methods)
    name = method["name"]
    if name == "glance-download":
        for image in _bases(method):
            await base_of(call, image)
    await call.service.quotas.demand(call.context.project, SIZE)
    try:
        record = await call.image()
        _must_be_ready(record, name)
        if name == "glance-download":
            method = _of_another(method)
        call.demand("copy_image" if name == "copy-image" else "modify_image", record.image)
        _must_be_stores(call.request, body)
        if name == "copy-image":
            return _copied(body)
        if name == "web-download":
            await call.service.web.check(method.get("uri"))
        expected = _STAGED if name == "glance-direct" else "queued"
        task = task_of(call, "api_image_import", record.image.id, _input(record, body, method))
        await begin_import(call.service, task, expected, _source(call, record.image, method))
    except VanishedError as error:
        raise VanishedError(f"No image found with ID {call.image_id}") from error
    return web.Response(status=202)


def task_of(
    call: Call, kind: str, image: str | None, given: Mapping[str, Any], **more: Any
) -> Task:
    """Make a task of who asks."""
    who = call.context
    return Task(
        str(uuid4()),
        kind,
        owner=who.project,
        input=given,
        image_id=image,
        user_id=who.user,
        request_id=who.request_id,
        **more,
    )


def _method(body: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(body, dict) or "method" not in body:
        raise RefusedError("Import request requires a 'method' field.")
    method = body["method"]
    if not isinstance(method, dict) or "name" not in method:
        raise RefusedError("Import request requires a 'name' field.")
    if method["name"] not in known:
        raise RefusedError(f"Unknown import method name '{method['name']}'.")
    for name in ("all_stores_must_succeed", "all_stores"):
        if not isinstance(body.get(name, False), bool):
            raise RefusedError(f"'{name}' must be boolean value only")
    return method


def _must_be_ready(record: Record, method: str) -> None:
    image = record.image
    active = image.status == "active"
    if active and method != "copy-image":
        raise ConflictError("Image with status active cannot be target for import")
    if not active and method == "copy-image":
        raise ConflictError("Only images with status active can be targeted for copying")
    if image.status != "queued" and method in ("web-download", "glance-download"):
        raise ConflictError(f"Image needs to be in 'queued' state to use '{method}' method")
    if method == "glance-direct" and (image.status != _STAGED or record.content is None):
        raise ConflictError("Image needs to be staged before 'glance-direct' method can be used")
    for name in reversed(FORMATS):
        if not getattr(image, name):
            raise ConflictError(f"'{name}' needs to be set before import")


def _of_another(method: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in _NEEDED:
        if name not in method:
            raise RefusedError(f"'{name}' needs to be set for glance-download import method")
    identifier = str(method["glance_image_id"])
    try:
        UUID(identifier)
    except ValueError:
        raise RefusedError(f"Remote image id does not look like a UUID: {identifier}") from None
    return {"glance_service_interface": "public", **method}


def _must_be_stores(request: web.Request, body: Mapping[str, Any]) -> None:
    header = request.headers.get("x-image-meta-store")
    if body.get("all_stores"):
        if "stores" in body or header is not None:
            raise RefusedError(
                "All_stores parameter can't be used with x-image-meta-store header or stores "
                "parameter"
            )
        return
    if "stores" in body and header is not None:
        raise RefusedError("Stores parameter and x-image-meta-store header can't be both specified")
    stores: Any = body.get("stores") or [STORE if header is None else header]
    if not isinstance(stores, list | str):  # a text is taken for a list, and so is refused below
        raise RefusedError("'stores' has to be a list of stores")
    for store in stores:
        if store != STORE:
            raise ConflictError(unknown_store(store))


def _copied(body: Mapping[str, Any]) -> web.Response:
    """Answer those who want copies in other stores: there are none."""
    if not body.get("all_stores"):
        raise RefusedError(f"Image is already present at store '{STORE}'")
    return web.Response(status=202)


def _input(record: Record, body: Mapping[str, Any], method: Mapping[str, Any]) -> dict[str, Any]:
    request = {**body, "method": dict(method)}
    return {"image_id": record.image.id, "import_req": request, "backend": [STORE]}


def _bases(method: Mapping[str, Any]) -> Sequence[str]:
    """Read which images of this region have much of what is to come; none where none is named."""
    bases = method.get("bases", [])
    if not isinstance(bases, list) or len(bases) > MOST_IMAGES:
        raise RefusedError(f"'bases' has to be a list of at most {MOST_IMAGES} ids of images")
    for image in bases:
        if not isinstance(image, str) or not _is_id(image):
            raise RefusedError("'bases' has to be a list of ids of images")
    return bases


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _source(call: Call, image: Image, method: Mapping[str, Any]) -> Source | None:
    if method["name"] == "web-download":
        return call.service.web.fetch(method["uri"])
    if method["name"] == "glance-download":
        bases = partial(_readable, call, _bases(method))
        return call.service.elsewhere.fetch(
            call.context,
            str(method["glance_region"]),
            str(method["glance_image_id"]),
            str(method["glance_service_interface"]),
            Puller(call.service, image, call.context.project, bases).pull,
        )
    return None


async def _readable(call: Call, images: Sequence[str]) -> Sequence[Record]:
    """Give those images whose data who asked may still download, and is still here."""
    found = []
    for image in images:
        try:
            found.append(await base_of(call, image))
        except ImageError as error:
            _log.info("no base of an import: %s", error)
    return found
