"""Tags that a namespace proposes."""

from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web

from meltemi.errors import VanishedError
from meltemi.model.definitions import Definition, Kind
from meltemi.region.answers import document
from meltemi.region.api.metadefs.asking import permitted, sent
from meltemi.region.api.metadefs.forms import shown_named
from meltemi.region.api.metadefs.queries import demand_visibility, limit, order
from meltemi.region.api.metadefs.schemas import NEW_TAGS, TAG
from meltemi.region.api.schemas import Checker
from meltemi.region.service import Call

_CHECKER: Final = Checker(TAG)
_CHECKER_OF_SEVERAL: Final = Checker(NEW_TAGS)
_SORT_KEYS: Final = ("name", "id", "created_at", "updated_at")
_TRUE: Final = ("1", "t", "true", "on", "y", "yes")


async def listing(call: Call) -> web.Response:
    """Give a page of a namespace's tags, or all."""
    query = call.request.query
    key, descends = order(query, _SORT_KEYS)
    most = limit(query.get("limit") or None, least=0)
    demand_visibility(query)
    namespace = await permitted(call, "get_metadef_tags")
    found = await call.service.definitions.listed(namespace.name, Kind.TAG)
    ordered = _ordered(found, key, descends=descends)
    if marker := query.get("marker"):
        ordered = _after(ordered, marker)
    return document(_shown(ordered[:most]))


async def create(call: Call) -> web.Response:
    """Define a tag, of which there is no more than the name in the path."""
    name = call.path["tag"]
    namespace = await permitted(call, "add_metadef_tag")
    _CHECKER.check({"name": name})
    [made] = await call.service.definitions.define(namespace.name, [Definition(Kind.TAG, name)])
    return document(shown_named(made), status=201)


async def create_several(call: Call) -> web.Response:
    """Define tags in place of all that a namespace has, or in addition to them."""
    body = await sent(call, _CHECKER_OF_SEVERAL, "created_at", "updated_at")
    namespace = await permitted(call, "add_metadef_tags")
    adds = call.request.headers.get("X-Openstack-Append", "").strip().lower() in _TRUE
    wanted = [Definition(Kind.TAG, one["name"]) for one in body.get("tags", ())]
    made = await call.service.definitions.define(namespace.name, wanted, replace=not adds)
    return document(_shown(made), status=201)


async def show(call: Call) -> web.Response:
    """Give a tag."""
    namespace = await permitted(call, "get_metadef_tag")
    name = call.path["tag"]
    found = await call.service.definitions.find(namespace.name, Kind.TAG, name)
    return document(shown_named(found))


async def update(call: Call) -> web.Response:
    """Give a tag another name."""
    body = await sent(call, _CHECKER, "created_at", "updated_at")
    namespace = await permitted(call, "modify_metadef_tag")
    wanted = Definition(Kind.TAG, body["name"])
    name = call.path["tag"]
    changed = await call.service.definitions.redefine(namespace.name, name, wanted)
    return document(shown_named(changed))


async def delete(call: Call) -> web.Response:
    """Delete a tag."""
    namespace = await permitted(call, "delete_metadef_tag")
    name = call.path["tag"]
    await call.service.definitions.undefine(namespace.name, Kind.TAG, name)
    return web.Response(status=204)


def _ordered(found: Sequence[Definition], key: str, *, descends: bool) -> list[Definition]:
    keys: Mapping[str, list[str]] = {
        "id": [],
        "name": [one.name for one in found],
        "created_at": [one.created_at or "" for one in found],
        "updated_at": [one.updated_at or "" for one in found],
    }
    firsts = keys[key] or [""] * len(found)
    places = sorted(range(len(found)), key=lambda place: (firsts[place], place), reverse=descends)
    return [found[place] for place in places]


def _after(ordered: Sequence[Definition], marker: str) -> list[Definition]:
    for place, one in enumerate(ordered):
        if one.name == marker:
            return list(ordered[place + 1 :])
    raise VanishedError(f"Could not find metadata tag {marker}")


def _shown(tags: Sequence[Definition]) -> dict[str, list[dict[str, str]]]:
    return {"tags": [{"name": tag.name} for tag in tags]}
