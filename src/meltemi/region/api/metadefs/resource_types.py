"""Resource types, and which namespaces are associated with them."""

from typing import Final

from aiohttp import web

from meltemi.errors import VanishedError
from meltemi.model.definitions import Definition, Kind
from meltemi.region.answers import document
from meltemi.region.api.metadefs.asking import allows, demand, permitted, sent
from meltemi.region.api.metadefs.forms import association_document, shown_association, shown_named
from meltemi.region.api.metadefs.schemas import RESOURCE_TYPE
from meltemi.region.api.schemas import Checker
from meltemi.region.service import Call

_CHECKER: Final = Checker(RESOURCE_TYPE)


async def listing(call: Call) -> web.Response:
    """Give every resource type that a namespace is, or once was, associated with."""
    demand(call, "list_metadef_resource_types")
    found = await call.service.definitions.resource_types()
    return document({"resource_types": [shown_named(one) for one in found]})


async def show(call: Call) -> web.Response:
    """Give the resource types that a namespace is associated with."""
    namespace = await permitted(call, "list_metadef_resource_types")
    found = await call.service.definitions.listed(namespace.name, Kind.RESOURCE_TYPE)
    seen = found if allows(call, "get_metadef_resource_type", namespace) else ()
    return document({"resource_type_associations": [shown_association(one) for one in seen]})


async def associate(call: Call) -> web.Response:
    """Associate a namespace with a resource type."""
    body = await sent(call, _CHECKER, "created_at", "updated_at")
    namespace = await permitted(call, "add_metadef_resource_type_association")
    wanted = Definition(Kind.RESOURCE_TYPE, body["name"], association_document(body))
    [made] = await call.service.definitions.define(namespace.name, [wanted])
    return document(shown_association(made), status=201)


async def dissociate(call: Call) -> web.Response:
    """Associate a namespace with a resource type no longer."""
    namespace = await permitted(call, "remove_metadef_resource_type_association")
    name = call.path["resource_type"]
    try:
        await call.service.definitions.undefine(namespace.name, Kind.RESOURCE_TYPE, name)
    except VanishedError:
        raise VanishedError(f"Failed to find resource type {name} to delete") from None
    return web.Response(status=204)
