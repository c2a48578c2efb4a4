"""The JSON Schemas of the API: what it documents is what it checks.

The schemas are those of the Image API v2 (https://docs.openstack.org/api-ref/image/v2/).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from meltemi.errors import RefusedError

Schema = dict[str, Any]

_UUID: Final = (
    "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
)
_STATUSES: Final = (
    *("queued", "saving", "active", "killed", "deleted", "uploading", "importing"),
    *("pending_delete", "deactivated"),
)


def text(description: str, *, limit: int | None = None, nullable: bool = False) -> Schema:
    """Describe a string."""
    kind: str | list[str] = ["null", "string"] if nullable else "string"
    schema: Schema = {"type": kind, "description": description}
    return schema if limit is None else schema | {"maxLength": limit}


def read_only(schema: Schema) -> Schema:
    """Say that only the service sets it."""
    return schema | {"readOnly": True}


_VALIDATION: Final[Schema] = {
    "description": "Values to be used to populate the corresponding image properties. If the image "
    "status is not 'queued', values must exactly match those already contained in the image "
    "properties.",
    "type": "object",
    "writeOnly": True,
    "additionalProperties": False,
    "properties": {
        "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
        "os_hash_algo": {"type": "string", "maxLength": 64},
        "os_hash_value": {"type": "string", "maxLength": 128},
    },
    "required": ["os_hash_algo", "os_hash_value"],
}


LOCATION: Final[Schema] = {
    "name": "location",
    "properties": {
        "add_location": {
            "description": "Values of location url, do_secure_hash and validation_data for new add "
            "location API",
            "type": "object",
            "properties": {
                "url": {
                    "type": "string",
                    "readOnly": True,
                    "description": "The URL of the new location to be added in the image.",
                },
                "validation_data": {
                    "description": "Hashes that the data must have.",
                    "type": "object",
                    "writeOnly": True,
                    "additionalProperties": False,
                    "properties": {
                        "os_hash_algo": {
                            "type": "string",
                            "maxLength": 64,
                            "enum": ["sha1", "sha256", "sha512", "md5"],
                        },
                        "os_hash_value": {"type": "string", "maxLength": 128},
                    },
                    "dependentRequired": {
                        "os_hash_value": ["os_hash_algo"],
                        "os_hash_algo": ["os_hash_value"],
                    },
                },
            },
            "required": ["url"],
        },
    },
    "additionalProperties": {"type": "string"},
}
"""What is sent to give an image a location, as `add_location`."""


def image_properties(
    disk_formats: Sequence[str], container_formats: Sequence[str]
) -> dict[str, Schema]:
    """Describe the base attributes of an image."""
    size: Schema = {"type": ["null", "integer"], "readOnly": True}
    return {
        "id": text("An identifier for the image") | {"pattern": _UUID},
        "name": text("Descriptive name for the image", limit=255, nullable=True),
        "status": read_only(text("Status of the image")) | {"enum": list(_STATUSES)},
        "visibility": text("Scope of image accessibility")
        | {"enum": ["community", "public", "private", "shared"]},
        "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
        "os_hidden": {
            "type": "boolean",
            "description": "If true, image will not appear in default image list response.",
        },
        "checksum": read_only(text("md5 hash of image contents.", limit=32, nullable=True)),
        "os_hash_algo": read_only(
            text("Algorithm to calculate the os_hash_value", limit=64, nullable=True)
        ),
        "os_hash_value": read_only(
            text(
                "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
                limit=128,
                nullable=True,
            )
        ),
        "owner": text("Owner of the image", limit=255, nullable=True),
        "size": size | {"description": "Size of image file in bytes"},
        "virtual_size": size | {"description": "Virtual size of image in bytes"},
        "container_format": text("Format of the container", nullable=True)
        | {"enum": [None, *container_formats]},
        "disk_format": text("Format of the disk", nullable=True) | {"enum": [None, *disk_formats]},
        "created_at": read_only(text("Date and time of image registration")),
        "updated_at": read_only(text("Date and time of the last image modification")),
        "tags": {
            "type": "array",
            "description": "List of strings related to the image",
            "items": {"type": "string", "maxLength": 255},
        },
        "direct_url": read_only(text("URL to access the image file kept in external store")),
        "min_ram": {
            "type": "integer",
            "description": "Amount of ram (in MB) required to boot image.",
        },
        "min_disk": {
            "type": "integer",
            "description": "Amount of disk space (in GB) required to boot image.",
        },
        "self": read_only(text("An image self url")),
        "file": read_only(text("An image file url")),
        "stores": read_only(
            text(
                "Store in which image data resides.  Only present when the operator has enabled "
                "multiple stores.  May be a comma-separated list of store identifiers."
            )
        ),
        "schema": read_only(text("An image schema url")),
        "locations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "url": {"type": "string", "maxLength": 255},
                    "metadata": {"type": "object"},
                    "validation_data": _VALIDATION,
                },
                "required": ["url", "metadata"],
            },
            "description": "A set of URLs to access the image file kept in external store",
        },
    }


def image_schema(disk_formats: Sequence[str], container_formats: Sequence[str]) -> Schema:
    """Describe an image; every other property is a string."""
    return {
        "name": "image",
        "properties": image_properties(disk_formats, container_formats),
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def _plain(name: str, properties: Mapping[str, Schema]) -> Schema:
    """Describe a thing that is never sent, and so may one day have more."""
    return {"name": name, "properties": properties}


def _page(name: str, item: Schema) -> Schema:
    """Describe a page without links to others."""
    return {
        "name": name,
        "properties": {name: {"type": "array", "items": item}, "schema": {"type": "string"}},
        "links": [{"rel": "describedby", "href": "{schema}"}],
    }


_READ_ONLY_TEXT: Final[Schema] = {"readOnly": True, "type": "string"}
_JSON: Final[Schema] = {"type": ["null", "object"]}

MEMBER: Final = _plain(
    "member",
    {
        "member_id": text("An identifier for the image member (tenantId)"),
        "image_id": text("An identifier for the image") | {"pattern": _UUID},
        "created_at": text("Date and time of image member creation"),
        "updated_at": text("Date and time of last modification of image member"),
        "status": text("The status of this image member")
        | {"enum": ["pending", "accepted", "rejected"]},
        "schema": _READ_ONLY_TEXT,
    },
)
MEMBERS: Final = _page("members", MEMBER)

TASK: Final = _plain(
    "task",
    {
        "id": text("An identifier for the task") | {"pattern": _UUID},
        "type": text("The type of task represented by this content")
        | {"enum": ["import", "api_image_import", "location_import"]},
        "status": text("The current status of this task")
        | {"enum": ["pending", "processing", "success", "failure"]},
        "input": _JSON | {"description": "The parameters required by task, JSON blob"},
        "result": _JSON | {"description": "The result of current task, JSON blob"},
        "owner": text("An identifier for the owner of this task"),
        "message": text(
            "Human-readable informative message only included when appropriate (usually on failure)"
        ),
        "image_id": text("Image associated with the task"),
        "request_id": text("Human-readable informative request-id"),
        "user_id": text("User associated with the task"),
        "expires_at": text(
            "Datetime when this resource would be subject to removal", nullable=True
        ),
        "created_at": text("Datetime when this resource was created"),
        "updated_at": text("Datetime when this resource was updated"),
        "self": _READ_ONLY_TEXT,
        "schema": _READ_ONLY_TEXT,
    },
)
TASKS: Final = _page(
    "tasks",
    _plain(
        "task",
        {
            name: schema
            for name, schema in TASK["properties"].items()
            if name not in ("input", "result", "message")
        },
    ),
)


def collection(name: str, item: Schema) -> Schema:
    """Describe a page of things."""
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


class Checker:
    """Holds bodies against one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._validator = Draft202012Validator(schema)

    def check(self, body: Any) -> Mapping[str, Any]:
        """Give the body back, or raise RefusedError with what is wrong about it."""
        error = best_match(self._validator.iter_errors(body))
        if error is not None or not isinstance(body, dict):  # of which they say nothing themselves
            what = error or "it is no object"
            raise RefusedError(
                f"Provided object does not match schema '{self.schema['name']}': {what}"
            )
        return body
