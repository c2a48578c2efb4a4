"""The schemas that the API documents itself with."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from meltemi.errors import VanishedError
from meltemi.region.api.metadefs import schemas as metadefs
from meltemi.region.api.schemas import MEMBER, MEMBERS, TASK, TASKS, Schema, collection
from meltemi.region.service import Call

_OF_METADEFS: Final[Mapping[str, Schema]] = {
    "namespace": metadefs.NAMESPACE,
    "namespaces": metadefs.NAMESPACES,
    "object": metadefs.OBJECT,
    "objects": metadefs.OBJECTS,
    "property": metadefs.PROPERTY,
    "properties": metadefs.PROPERTIES,
    "tag": metadefs.TAG,
    "tags": metadefs.TAGS,
    "resource_type": metadefs.RESOURCE_TYPE,
    "resource_types": metadefs.RESOURCE_TYPES,
}


async def show(call: Call) -> web.Response:
    """Give the schema of images, members or tasks, of one or of a page."""
    image = call.service.image_checker.schema
    return _answer(
        call,
        {
            "image": image,
            "images": collection("images", image),
            "member": MEMBER,
            "members": MEMBERS,
            "task": TASK,
            "tasks": TASKS,
        },
    )


async def show_of_metadefs(call: Call) -> web.Response:
    """Give a schema of metadata definitions."""
    return _answer(call, _OF_METADEFS)


def _answer(call: Call, schemas: Mapping[str, Schema]) -> web.Response:
    name = call.request.match_info["name"]
    if name not in schemas:
        raise VanishedError("")
    return web.json_response(schemas[name])
