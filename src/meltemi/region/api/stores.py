"""Where images can come from and where they lie: a region has one store, its chunk store."""

from typing import Any, Final

from aiohttp import web

from meltemi.errors import ConflictError, ForbiddenError
from meltemi.region.answers import document
from meltemi.region.api.wire import STORE
from meltemi.region.service import Call

_STORE: Final[dict[str, Any]] = {"id": STORE, "default": "true"}


async def methods(call: Call) -> web.Response:
    """Give the ways in which images can be imported."""
    known = list(call.settings.import_methods)
    described = {"description": "Import methods available.", "type": "array", "value": known}
    return document({"import-methods": described})


async def listing(call: Call) -> web.Response:  # noqa: ARG001 - what every handler takes
    """Give the stores."""
    return document({"stores": [_STORE]})


async def detail(call: Call) -> web.Response:
    """Give the stores, with what only operators are told."""
    call.service.policy.demand(call.context, "stores_info_detail", {})
    return document({"stores": [{**_STORE, "type": "chunks", "weight": 0, "properties": {}}]})


async def remove(call: Call) -> web.Response:
    """Refuse to take an image's data out of the only store that has it."""
    store = call.path["store"]
    if store != STORE:
        raise ConflictError(f"The selected store {store} is not available on this node.")
    missing = f"Failed to find image {call.image_id}"
    record = await call.image("get_image_location", missing=missing)
    call.demand("delete_image_location", record.image)
    if record.image.status != "active":
        raise ConflictError(
            "It's not allowed to remove image data from store if image status is not 'active'"
        )
    raise ForbiddenError(
        "Cannot delete image data from the only store containing it. Consider deleting the image "
        "instead."
    )
