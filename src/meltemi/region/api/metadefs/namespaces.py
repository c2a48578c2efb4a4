"""Namespaces of metadata definitions: made, listed, shown, changed, deleted."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from aiohttp import web

from meltemi.errors import RefusedError
from meltemi.model.definitions import NAMESPACE_SORT_KEYS, Described, Kind, NamespaceListing
from meltemi.region.answers import document
from meltemi.region.api.metadefs.asking import allows, demand, permitted, sent
from meltemi.region.api.metadefs.forms import (
    NAMESPACES,
    Body,
    described,
    namespace,
    prefixed,
    shown_association,
    shown_namespace,
    shown_properties,
    whole_object,
)
from meltemi.region.api.metadefs.queries import limit, order
from meltemi.region.api.metadefs.schemas import NAMESPACE
from meltemi.region.api.schemas import Checker
from meltemi.region.service import Call

_CHECKER: Final = Checker(NAMESPACE)
READ_ONLY: Final = ("self", "schema", "created_at", "updated_at")
"""What only the service says of a namespace, or of an object."""
_VISIBILITIES: Final = ("public", "private")
_ADDING: Final = {
    "resource_type_associations": "add_metadef_resource_type_association",
    "objects": "add_metadef_object",
    "properties": "add_metadef_property",
    "tags": "add_metadef_tag",
}


async def create(call: Call) -> web.Response:
    """Take in a namespace, with everything that the body defines in it."""
    body = await sent(call, _CHECKER, *READ_ONLY)
    wanted = described(body, call.context.project)
    demand(call, "add_metadef_namespace")
    for key, rule in _ADDING.items():
        if body.get(key):
            demand(call, rule)
    made = await call.service.definitions.add(wanted)
    answer = shown_namespace(made) | _given(body, wanted)
    return document(
        answer, status=201, headers={"Location": call.url(quote(answer["self"], safe="/:"))}
    )


async def listing(call: Call) -> web.Response:
    """Give a page of the namespaces that are asked for."""
    query = call.request.query
    wanted = _listing(call, query)
    demand(call, "get_metadef_namespaces")
    demand(call, "list_metadef_resource_types")
    found = await call.service.definitions.page(wanted)
    seen = [one for one in found if allows(call, "get_metadef_namespace", one.namespace)]
    kept = {key: value for key, value in query.items() if key != "marker"}
    body: Body = {
        "namespaces": [_with_associations(one) for one in seen],
        "first": f"{NAMESPACES}?{urlencode(kept)}" if kept else NAMESPACES,
        "schema": "/v2/schemas/metadefs/namespaces",
    }
    if seen and len(found) == wanted.limit:
        after = {**kept, "marker": seen[-1].namespace.name}
        body["next"] = f"{NAMESPACES}?{urlencode(after)}"
    return document(body)


async def show(call: Call) -> web.Response:
    """Give a namespace with everything that it defines.

    Where the query names a resource type, properties are named as on resources of that type.
    """
    name = call.path["namespace"]
    found = await call.service.definitions.describe(name, call.context.viewer)
    for rule in (
        "get_metadef_namespace",
        "list_metadef_resource_types",
        "get_metadef_objects",
        "get_metadef_properties",
        "get_metadef_tags",
    ):
        demand(call, rule, found.namespace)
    body = _with_associations(found)
    if objects := found.of(Kind.OBJECT):
        body["objects"] = [whole_object(name, one) for one in objects]
    if properties := found.of(Kind.PROPERTY):
        body["properties"] = shown_properties(properties)
    if tags := found.of(Kind.TAG):
        body["tags"] = [{"name": tag.name} for tag in reversed(tags)]
    resource_type = call.request.query.get("resource_type")
    for association in found.of(Kind.RESOURCE_TYPE):
        if association.name == resource_type:
            body = prefixed(body, association.document.get("prefix") or "")
    return document(body)


async def update(call: Call) -> web.Response:
    """Replace a namespace's own attributes; what the body does not say goes back to its default."""
    body = await sent(call, _CHECKER, *READ_ONLY)
    found = await permitted(call, "modify_metadef_namespace")
    wanted = namespace(body)
    if not wanted.owner:
        wanted = replace(wanted, owner=call.context.project)
    changed = await call.service.definitions.change(found.name, wanted)
    return document(shown_namespace(changed))


async def delete(call: Call) -> web.Response:
    """Delete a namespace and everything that it defines."""
    found = await permitted(call, "delete_metadef_namespace")
    await call.service.definitions.remove(found.name)
    return web.Response(status=204)


async def delete_objects(call: Call) -> web.Response:
    """Delete all objects of a namespace."""
    return await _clear(call, Kind.OBJECT)


async def delete_properties(call: Call) -> web.Response:
    """Delete all properties of a namespace."""
    return await _clear(call, Kind.PROPERTY)


async def delete_tags(call: Call) -> web.Response:
    """Delete all tags of a namespace."""
    return await _clear(call, Kind.TAG, "delete_metadef_tags")


async def _clear(call: Call, kind: Kind, *rules: str) -> web.Response:
    found = await permitted(call, "delete_metadef_namespace")
    for rule in rules:
        demand(call, rule, found)
    await call.service.definitions.clear(found.name, kind)
    return web.Response(status=204)


def _listing(call: Call, query: Mapping[str, str]) -> NamespaceListing:
    visibility = query.get("visibility")
    if visibility and visibility not in _VISIBILITIES:
        raise RefusedError(f"Invalid visibility value: {visibility}")
    types = query.get("resource_types")
    key, descends = order(query, NAMESPACE_SORT_KEYS)
    asked = limit(query.get("limit"), least=0)
    return NamespaceListing(
        call.context.viewer,
        visibility=visibility,
        resource_types=None if types is None else tuple(types.split(",")),
        sort_key=key,
        descends=descends,
        limit=min(call.settings.page if asked is None else asked, call.settings.longest_page),
        marker=query.get("marker"),
    )


def _with_associations(found: Described) -> Body:
    body = shown_namespace(found.namespace)
    if associations := found.of(Kind.RESOURCE_TYPE):
        body["resource_type_associations"] = [shown_association(one) for one in associations]
    return body


def _given(body: Mapping[str, Any], wanted: Described) -> Body:
    """Give what a client defined in a namespace, in the form in which it is kept."""
    kinds = {
        "resource_type_associations": Kind.RESOURCE_TYPE,
        "objects": Kind.OBJECT,
        "tags": Kind.TAG,
    }
    given: Body = {
        key: [{"name": one.name, **one.document} for one in wanted.of(kind)]
        for key, kind in kinds.items()
        if key in body
    }
    if "properties" in body:
        given["properties"] = shown_properties(wanted.of(Kind.PROPERTY))
    return given
