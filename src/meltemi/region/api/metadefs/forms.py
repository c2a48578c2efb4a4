"""From what clients send to definitions, and back."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from meltemi.errors import RefusedError
from meltemi.model.definitions import Definition, Described, Kind, Namespace, ResourceType
from meltemi.region.api.wire import to_the_second

Body = dict[str, Any]

NAMESPACES: Final = "/v2/metadefs/namespaces"
_SCHEMAS: Final = "/v2/schemas/metadefs"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: Any) -> list[str]:
    return [_text(one) for one in value]


def _as_text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int | float) else None


def _items(value: Any) -> Body:
    items = _normal("items", value, {"type": _text, "enum": _texts})
    return {"type": _text(items.pop("type", None))} | items


_ATTRIBUTES: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("name", "type", "title", "description", "pattern"), _text),
    **dict.fromkeys(("operators", "enum"), _texts),
    **dict.fromkeys(("minimum", "maximum", "minLength", "maxLength"), int),
    **dict.fromkeys(("minItems", "maxItems"), int),
    **dict.fromkeys(("readonly", "confidential", "uniqueItems", "additionalItems"), bool),
    "default": _as_text,
    "items": _items,
}
_LONGEST_NAME: Final = 80
_OBJECT: Final = ("name", "description", "required", "properties")
_ASSOCIATION: Final = ("name", "prefix", "properties_target")
_SHOWN: Final = ("created_at", "updated_at", "self", "schema")
"""What only the service says, and what a client may send back in vain within a namespace."""


def property_document(body: Mapping[str, Any]) -> Body:
    """Give a property in the form in which it is kept and shown; RefusedError where it has none.

    Numbers are whole ones, and the default is a text, as in Glance.
    """
    return _normal("property", body, _ATTRIBUTES)


def object_document(body: Mapping[str, Any]) -> Body:
    """Give an object, without its name, in the form in which it is kept and shown."""
    document = {key: value for key, value in body.items() if key in _OBJECT and key != "name"}
    if "properties" in document:
        found = document["properties"].items()
        document["properties"] = {name: property_document(one) for name, one in found}
    return document


def association_document(body: Mapping[str, Any]) -> Body:
    """Give how a namespace is associated with a resource type."""
    return {key: body[key] for key in _ASSOCIATION[1:] if key in body}


def described(body: Mapping[str, Any], owner: str | None) -> Described:
    """Read a namespace with all that it defines, from a body that has its schema.

    `owner` is whose it is where the body does not say.
    """
    return Described(namespace({"owner": owner, **body}), tuple(_defined(body)))


def namespace(body: Mapping[str, Any]) -> Namespace:
    """Read a namespace's own attributes; RefusedError where no path could lead to it."""
    if not body["namespace"]:
        raise RefusedError("A namespace has to have a name.")
    return Namespace(
        name=body["namespace"],
        owner=body.get("owner"),
        display_name=body.get("display_name"),
        description=body.get("description"),
        visibility=body.get("visibility", "private"),
        protected=body.get("protected", False),
    )


def _defined(body: Mapping[str, Any]) -> Iterator[Definition]:
    for one in body.get("resource_type_associations", ()):
        name = _named("resource type association", one, _ASSOCIATION)
        yield Definition(Kind.RESOURCE_TYPE, name, association_document(one))
    for one in body.get("objects", ()):
        yield Definition(Kind.OBJECT, _named("object", one, _OBJECT), object_document(one))
    for one in body.get("tags", ()):
        yield Definition(Kind.TAG, _named("tag", one, ("name",)))
    for name, one in body.get("properties", {}).items():
        yield Definition(Kind.PROPERTY, _short("property", name), property_document(one))


def shown_namespace(namespace: Namespace) -> Body:
    """Give a namespace's own attributes as the API shows them."""
    return _without_none(
        {
            "namespace": namespace.name,
            "display_name": namespace.display_name,
            "description": namespace.description,
            "visibility": namespace.visibility,
            "protected": namespace.protected,
            "owner": namespace.owner,
            "self": f"{NAMESPACES}/{namespace.name}",
            "schema": f"{_SCHEMAS}/namespace",
            **_times(namespace),
        }
    )


def shown_object(namespace: str, definition: Definition) -> Body:
    """Give an object as the API shows it."""
    return {
        "name": definition.name,
        **definition.document,
        "self": f"{NAMESPACES}/{namespace}/objects/{definition.name}",
        "schema": f"{_SCHEMAS}/object",
        **_times(definition),
    }


def whole_object(namespace: str, definition: Definition) -> Body:
    """Give an object with all its attributes, also those that nobody gave it."""
    return {"required": [], "properties": {}} | shown_object(namespace, definition)


def shown_property(definition: Definition) -> Body:
    """Give a property as the API shows it where it stands alone."""
    return {**definition.document, "name": definition.name}


def shown_properties(definitions: tuple[Definition, ...]) -> dict[str, Body]:
    """Give properties by their names."""
    return {one.name: dict(one.document) for one in definitions}


def shown_named(definition: Definition | ResourceType) -> Body:
    """Give what has no more than a name and times, as a tag."""
    return {"name": definition.name, **_times(definition)}


def shown_association(definition: Definition) -> Body:
    """Give how a namespace is associated with a resource type."""
    return {**definition.document, **shown_named(definition)}


def prefixed(body: Body, prefix: str) -> Body:
    """Give a whole namespace with its properties named as on resources of a type."""
    changed = dict(body)
    if "properties" in body:
        changed["properties"] = {f"{prefix}{key}": one for key, one in body["properties"].items()}
    if "objects" in body:
        changed["objects"] = [
            one
            | {
                "properties": {f"{prefix}{key}": kept for key, kept in one["properties"].items()},
                "required": [f"{prefix}{key}" for key in one["required"]],
            }
            for one in body["objects"]
        ]
    return changed


def _named(what: str, body: Mapping[str, Any], attributes: tuple[str, ...]) -> str:
    for key in body:
        if key not in attributes and key not in _SHOWN:
            raise RefusedError(f"Unknown attribute '{key}' ({what}).")
    if "name" not in body:
        raise RefusedError(f"Mandatory field 'name' missing ({what}).")
    return _short(what, body["name"])


def _short(what: str, name: str) -> str:
    """Give a name that is no longer than one may be that is given to a definition by itself."""
    if len(name) > _LONGEST_NAME:
        raise RefusedError(f"A name of more than {_LONGEST_NAME} characters ({what}).")
    return name


def _normal(what: str, body: Mapping[str, Any], forms: Mapping[str, Callable[[Any], Any]]) -> Body:
    normal = {}
    for key, value in body.items():
        if key not in forms:
            raise RefusedError(f"Unknown attribute '{key}' ({what}).")
        try:
            normal[key] = forms[key](value)
        except (TypeError, ValueError, OverflowError):
            raise RefusedError(f"Invalid value for attribute '{key}' ({what}).") from None
    return normal


def _times(one: Namespace | Definition | ResourceType) -> Body:
    return _without_none(
        {
            "created_at": to_the_second(one.created_at),
            "updated_at": to_the_second(one.updated_at),
        }
    )


def _without_none(body: Body) -> Body:
    return {key: value for key, value in body.items() if value is not None}
