"""Properties that stand in a namespace by themselves."""

from typing import Final

from aiohttp import web

from meltemi.errors import VanishedError
from meltemi.model.definitions import Definition, Kind, Namespace
from meltemi.region.answers import document
from meltemi.region.api.metadefs.asking import demand, permitted, sent
from meltemi.region.api.metadefs.forms import property_document, shown_properties, shown_property
from meltemi.region.api.metadefs.schemas import PROPERTY
from meltemi.region.api.schemas import Checker
from meltemi.region.service import Call

_CHECKER: Final = Checker(PROPERTY)


async def listing(call: Call) -> web.Response:
    """Give all properties of a namespace."""
    namespace = await permitted(call, "get_metadef_properties")
    found = await call.service.definitions.listed(namespace.name, Kind.PROPERTY)
    return document({"properties": shown_properties(tuple(found))})


async def create(call: Call) -> web.Response:
    """Define a property."""
    wanted = await _wanted(call)
    namespace = await permitted(call, "add_metadef_property")
    [made] = await call.service.definitions.define(namespace.name, [wanted])
    return document(shown_property(made), status=201)


async def show(call: Call) -> web.Response:
    """Give a property; where the query names a resource type, by its name on such resources."""
    namespace = await permitted(call, "get_metadef_property")
    name = call.path["property"]
    if resource_type := call.request.query.get("resource_type"):
        demand(call, "get_metadef_resource_type", namespace)
        name = await _unprefixed(call, namespace, resource_type, name)
    found = await call.service.definitions.find(namespace.name, Kind.PROPERTY, name)
    return document(shown_property(found))


async def update(call: Call) -> web.Response:
    """Define a property anew."""
    wanted = await _wanted(call)
    namespace = await permitted(call, "modify_metadef_property")
    name = call.path["property"]
    changed = await call.service.definitions.redefine(namespace.name, name, wanted)
    return document(shown_property(changed))


async def delete(call: Call) -> web.Response:
    """Delete a property."""
    namespace = await permitted(call, "remove_metadef_property")
    name = call.path["property"]
    await call.service.definitions.undefine(namespace.name, Kind.PROPERTY, name)
    return web.Response(status=204)


async def _wanted(call: Call) -> Definition:
    body = await sent(call, _CHECKER, "created_at", "updated_at")
    return Definition(Kind.PROPERTY, body["name"], property_document(body))


async def _unprefixed(call: Call, namespace: Namespace, resource_type: str, name: str) -> str:
    association = await call.service.definitions.find(
        namespace.name, Kind.RESOURCE_TYPE, resource_type
    )
    prefix: str | None = association.document.get("prefix")
    if not prefix or not name.startswith(prefix):
        raise VanishedError(
            f"Property {name} does not start with the expected resource type association prefix "
            f"of '{prefix}'."
        )
    return name.removeprefix(prefix)
