"""Objects: groups of properties that belong together."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from meltemi.model.definitions import Definition, Kind
from meltemi.region.answers import document
from meltemi.region.api.metadefs.asking import allows, permitted, sent
from meltemi.region.api.metadefs.forms import object_document, shown_object, whole_object
from meltemi.region.api.metadefs.namespaces import READ_ONLY
from meltemi.region.api.metadefs.queries import demand_visibility, limit, order
from meltemi.region.api.metadefs.schemas import NAMELESS_PROPERTY, OBJECT
from meltemi.region.api.schemas import Checker
from meltemi.region.service import Call

_CHECKER: Final = Checker(OBJECT)
_PROPERTY_CHECKER: Final = Checker(NAMELESS_PROPERTY)
_MISSING: Final = "Metadata definition namespace={} was not found."
_SORT_KEYS: Final = ("name", "description", "id", "created_at", "updated_at")


async def listing(call: Call) -> web.Response:
    """Give all objects of a namespace; a page cannot be asked for, as in Glance."""
    query = call.request.query
    order(query, _SORT_KEYS)
    limit(query.get("limit"), least=1)
    demand_visibility(query)
    namespace = await permitted(call, "get_metadef_objects", _MISSING)
    found = await call.service.definitions.listed(namespace.name, Kind.OBJECT)
    seen = found if allows(call, "get_metadef_object", namespace) else ()
    return document(
        {
            "objects": [whole_object(namespace.name, one) for one in seen],
            "schema": "v2/schemas/metadefs/objects",
        }
    )


async def create(call: Call) -> web.Response:
    """Define an object."""
    body = await sent(call, _CHECKER, *READ_ONLY)
    for one in body.get("properties", {}).values():
        _PROPERTY_CHECKER.check(one)
    wanted = _definition(body)
    namespace = await permitted(call, "add_metadef_object", _MISSING)
    [made] = await call.service.definitions.define(namespace.name, [wanted])
    return document(shown_object(namespace.name, made), status=201)


async def show(call: Call) -> web.Response:
    """Give an object."""
    namespace = await permitted(call, "get_metadef_object", _MISSING)
    found = await call.service.definitions.find(namespace.name, Kind.OBJECT, _name(call))
    return document(whole_object(namespace.name, found))


async def update(call: Call) -> web.Response:
    """Define an object anew."""
    wanted = _definition(await sent(call, _CHECKER, *READ_ONLY))
    namespace = await permitted(call, "modify_metadef_object", _MISSING)
    changed = await call.service.definitions.redefine(namespace.name, _name(call), wanted)
    return document(shown_object(namespace.name, changed))


async def delete(call: Call) -> web.Response:
    """Delete an object."""
    namespace = await permitted(call, "delete_metadef_object", _MISSING)
    await call.service.definitions.undefine(namespace.name, Kind.OBJECT, _name(call))
    return web.Response(status=204)


def _name(call: Call) -> str:
    return call.path["object"]


def _definition(body: Mapping[str, Any]) -> Definition:
    return Definition(Kind.OBJECT, body["name"], object_document(body))
