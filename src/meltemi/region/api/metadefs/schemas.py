"""The JSON Schemas of metadata definitions.

They are those of the Image API v2 (https://docs.openstack.org/api-ref/image/v2/metadefs-index.html).
"""

from collections.abc import Mapping
from typing import Final

from meltemi.region.api.schemas import Schema, collection, read_only, text

_NAME: Final[Schema] = {"type": "string", "maxLength": 80}
_STRING: Final[Schema] = {"type": "string"}
_TRUTH: Final[Schema] = {"type": "boolean"}
_NUMBER: Final[Schema] = {"type": "number"}
_LIST: Final[Schema] = {"type": "array"}
_COUNT: Final[Schema] = {"$ref": "#/definitions/positiveInteger"}
_COUNT_OR_0: Final[Schema] = {"$ref": "#/definitions/positiveIntegerDefault0"}
_STRINGS: Final[Schema] = {"$ref": "#/definitions/stringArray"}
_PROPERTIES: Final[Schema] = {"$ref": "#/definitions/property"}
_TYPE: Final[Schema] = {
    "type": "string",
    "enum": ["array", "boolean", "integer", "number", "object", "string", None],
}

_ATTRIBUTES: Final[Mapping[str, Schema]] = {
    "name": _NAME,
    "title": _STRING,
    "description": _STRING,
    "operators": {"type": "array", "items": _STRING},
    "type": _TYPE,
    "required": _STRINGS,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "maxLength": _COUNT,
    "minLength": _COUNT_OR_0,
    "pattern": {"type": "string", "format": "regex"},
    "enum": _LIST,
    "readonly": _TRUTH,
    "default": {},
    "items": {"type": "object", "properties": {"type": _TYPE, "enum": _LIST}},
    "maxItems": _COUNT,
    "minItems": _COUNT_OR_0,
    "uniqueItems": _TRUTH | {"default": False},
    "additionalItems": _TRUTH,
}

_COUNTS: Final[Mapping[str, Schema]] = {
    "positiveInteger": {"type": "integer", "minimum": 0},
    "positiveIntegerDefault0": {"allOf": [_COUNT, {"default": 0}]},
}
_SHARED: Final[Mapping[str, Schema]] = {
    **_COUNTS,
    "stringArray": {"type": "array", "items": _STRING, "uniqueItems": True},
    "property": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["title", "type"],
            "properties": _ATTRIBUTES,
        },
    },
}
_OF_PROPERTY: Final[Mapping[str, Schema]] = {
    **_COUNTS,
    "stringArray": {"type": "array", "items": _STRING, "minItems": 1, "uniqueItems": True},
}


def _times(created: str, updated: str) -> dict[str, Schema]:
    date = {"format": "date-time"}
    return {
        "created_at": read_only(text(created)) | date,
        "updated_at": read_only(text(updated)) | date,
    }


def _of(
    name: str,
    properties: Mapping[str, Schema],
    required: tuple[str, ...] = (),
    definitions: Mapping[str, Schema] | None = None,
) -> Schema:
    schema: Schema = {"name": name, "properties": properties, "additionalProperties": False}
    if definitions:
        schema["definitions"] = definitions
    if required:
        schema["required"] = list(required)
    return schema


def _named(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def _collected(name: str, item: Schema) -> Schema:
    """Describe a page of things, whose definitions are to be found at its root."""
    rest = {key: value for key, value in item.items() if key != "definitions"}
    shared = {"definitions": item["definitions"]} if "definitions" in item else {}
    return collection(name, rest) | shared


NAMESPACE: Final = _of(
    "namespace",
    {
        "namespace": text("The unique namespace text.", limit=80),
        "display_name": text(
            "The user friendly name for the namespace. Used by UI if available.", limit=80
        ),
        "description": text("Provides a user friendly description of the namespace.", limit=500),
        "visibility": text("Scope of namespace accessibility.") | {"enum": ["public", "private"]},
        "protected": _TRUTH | {"description": "If true, namespace will not be deletable."},
        "owner": text("Owner of the namespace.", limit=255),
        **_times(
            "Date and time of namespace creation",
            "Date and time of the last namespace modification",
        ),
        "schema": read_only(_STRING),
        "self": read_only(_STRING),
        "resource_type_associations": _named(
            {"name": _STRING, "prefix": _STRING, "properties_target": _STRING}
        ),
        "properties": _PROPERTIES,
        "objects": _named(
            {
                "name": _STRING,
                "description": _STRING,
                "required": _STRINGS,
                "properties": _PROPERTIES,
            }
        ),
        "tags": _named({"name": _STRING}),
    },
    ("namespace",),
    _SHARED,
)
NAMESPACES: Final = _collected("namespaces", NAMESPACE)

OBJECT: Final = _of(
    "object",
    {
        "name": _NAME,
        "description": _STRING,
        "required": _STRINGS,
        "properties": _PROPERTIES,
        "schema": read_only(_STRING),
        "self": read_only(_STRING),
        **_times(
            "Date and time of object creation", "Date and time of the last object modification"
        ),
    },
    ("name",),
    _SHARED,
)
OBJECTS: Final = _collected("objects", OBJECT)

PROPERTY: Final = _of("property", _ATTRIBUTES, ("type", "title", "name"), _OF_PROPERTY)
NAMELESS_PROPERTY: Final = _of("property", _ATTRIBUTES, ("type", "title"), _OF_PROPERTY)
"""A property where a key has its name."""
PROPERTIES: Final = _collected("properties", NAMELESS_PROPERTY)
PROPERTIES["properties"]["properties"] = {
    "type": "object",
    "additionalProperties": PROPERTIES["properties"]["properties"]["items"],
}

TAG: Final = _of(
    "tag",
    {
        "name": _NAME,
        **_times("Date and time of tag creation", "Date and time of the last tag modification"),
    },
    ("name",),
)
TAGS: Final = _collected("tags", TAG)
NEW_TAGS: Final = _of(
    "tags",
    {
        "tags": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": _NAME},
                "required": ["name"],
                "additionalProperties": False,
            },
        }
    },
    ("tags",),
)
"""Several tags at once; how they are asked for is not documented by the API."""

RESOURCE_TYPE: Final = _of(
    "resource_type_association",
    {
        "name": text(
            "Resource type names should be aligned with Heat resource types whenever possible: "
            "https://docs.openstack.org/heat/latest/template_guide/openstack.html",
            limit=80,
        ),
        "prefix": text(
            "Specifies the prefix to use for the given resource type. Any properties in the "
            "namespace should be prefixed with this prefix when being applied to the specified "
            "resource type. Must include prefix separator (e.g. a colon :).",
            limit=80,
        ),
        "properties_target": text(
            "Some resource types allow more than one key / value pair per instance.  For example, "
            "Cinder allows user and image metadata on volumes. Only the image properties metadata "
            "is evaluated by Nova (scheduling or drivers). This property allows a namespace target "
            "to remove the ambiguity.",
            limit=80,
        ),
        **_times(
            "Date and time of resource type association",
            "Date and time of the last resource type association modification",
        ),
    },
    ("name",),
)
RESOURCE_TYPES: Final = _collected("resource_type_associations", RESOURCE_TYPE)
