"""The schemas that the API documents itself with."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from meltemi.region.answers import document
from meltemi.region.api.bodies import Answer, bodiless
from meltemi.region.api.metadefs import schemas as metadefs
from meltemi.region.api.schemas import MEMBER, MEMBERS, TASK, TASKS, Schema, collection
from meltemi.region.service import Call

_FIXED: Final[Mapping[str, Schema]] = {
    "member": MEMBER,
    "members": MEMBERS,
    "task": TASK,
    "tasks": TASKS,
    "metadefs/namespace": metadefs.NAMESPACE,
    "metadefs/namespaces": metadefs.NAMESPACES,
    "metadefs/object": metadefs.OBJECT,
    "metadefs/objects": metadefs.OBJECTS,
    "metadefs/property": metadefs.PROPERTY,
    "metadefs/properties": metadefs.PROPERTIES,
    "metadefs/tag": metadefs.TAG,
    "metadefs/tags": metadefs.TAGS,
    "metadefs/resource_type": metadefs.RESOURCE_TYPE,
    "metadefs/resource_types": metadefs.RESOURCE_TYPES,
}


async def image(call: Call) -> web.Response:
    """Describe an image; its formats are those of the settings."""
    return document(call.service.image_checker.schema)


async def images(call: Call) -> web.Response:
    """Describe a page of images."""
    return document(collection("images", call.service.image_checker.schema))


def _giving(schema: Schema) -> Answer:
    async def give(_: Call) -> web.Response:
        return document(schema)

    return give


ROUTES: Final[tuple[tuple[str, str, Answer], ...]] = (
    ("GET", "/v2/schemas/image", bodiless(image)),
    ("GET", "/v2/schemas/images", bodiless(images)),
    *(("GET", f"/v2/schemas/{name}", bodiless(_giving(schema))) for name, schema in _FIXED.items()),
)
