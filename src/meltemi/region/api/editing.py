"""What changes do to an image; pure, with the API's rules about single attributes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from meltemi.errors import ConflictError, ForbiddenError, QuotaError, RefusedError
from meltemi.model.image import Image
from meltemi.region.api.patch import Change, must_be_free

_LONGEST_NAME: Final = 255
_LARGEST_NUMBER: Final = 2**31 - 1
FORMATS: Final = ("disk_format", "container_format")
"""What an image's data is; fixed from when it is to get some, since it is inspected by that."""
ATTRIBUTES: Final = frozenset(
    {field.name for field in fields(Image)} - {"hashes", "properties"}
    | {"checksum", "os_hash_algo", "os_hash_value", "locations"}
)
"""What an image has by itself; everything else is a free property."""

_SET: Final = frozenset(
    {
        *("name", "visibility", "min_disk", "min_ram", "protected", "owner"),
        *("disk_format", "container_format", "os_hidden"),
    }
)


def drafted(identifier: str, body: Mapping[str, Any], owner: str | None, now: str) -> Image:
    """Make the image that a request to create one describes."""
    properties = {key: value for key, value in body.items() if key not in ATTRIBUTES}
    for key in properties:
        if len(key) > _LONGEST_NAME:
            raise RefusedError("Custom property should not be greater than 255 characters.")
        must_be_free(key)
    if "locations" in body:
        raise ForbiddenError("Attribute 'locations' is reserved.")
    for key in ("checksum", "created_at", "size", "status", "updated_at", "virtual_size"):
        if key in body:
            raise ForbiddenError(f"Attribute '{key}' is read-only.")
    attributes = {key: value for key, value in body.items() if key in _SET}
    image = Image(
        **{"owner": owner, "visibility": "shared"} | attributes,
        id=identifier,
        tags=frozenset(body.get("tags", ())),
        properties=properties,
        created_at=now,
        updated_at=now,
    )
    _must_be_a_size(image)
    return image


def edited(
    image: Image, changes: Sequence[Change], locate: Callable[[Image, Change], Image]
) -> Image:
    """Apply changes in their order; `locate` applies those of locations."""
    for change in changes:
        on_locations = change.attribute == "locations"
        image = locate(image, change) if on_locations else _applied(image, change)
    _must_be_a_size(image)
    return image


def must_be_within(image: Image, before: Image | None, *, properties: int, tags: int) -> None:
    """Refuse more properties or tags than an image may have; -1 is no limit.

    What was over a limit `before`, and does not grow, may stay.
    """
    _limited(
        "properties", len(image.properties), len(before.properties) if before else 0, properties
    )
    _limited("tags", len(image.tags), len(before.tags) if before else 0, tags)


def _limited(kind: str, count: int, before: int, limit: int) -> None:
    if 0 <= limit < count and count > before:
        raise QuotaError(
            f"The limit has been exceeded on the number of allowed image {kind}. "
            f"Attempted: {count}, Maximum: {limit}"
        )


def _applied(image: Image, change: Change) -> Image:
    name = change.attribute
    if change.operation == "remove":
        return _removed(image, name)
    known = name in ATTRIBUTES or name in image.properties
    if change.operation == "replace" and not known:
        raise ConflictError(f"Property {name} does not exist.")
    if change.operation == "add" and change.strict and known:
        raise ConflictError(f"Property {name} already present.")
    if name in ATTRIBUTES:
        return _set(image, name, change.value)
    if len(name) > _LONGEST_NAME:
        raise RefusedError("Custom property should not be greater than 255 characters.")
    return replace(image, properties={**image.properties, name: change.value})


def _removed(image: Image, name: str) -> Image:
    if name in ATTRIBUTES:
        raise ForbiddenError(f"Property {name} may not be removed.")
    if name not in image.properties:
        raise ConflictError(f"Property {name} does not exist.")
    rest = {key: value for key, value in image.properties.items() if key != name}
    return replace(image, properties=rest)


def _set(image: Image, name: str, value: Any) -> Image:
    if name == "tags":
        return replace(image, tags=frozenset(value))
    if name in FORMATS and image.status != "queued":
        raise ForbiddenError(f"Attribute {name} can be only replaced for a queued image.")
    return replace(image, **{name: value})


def _must_be_a_size(image: Image) -> None:
    for name, value in (("min_disk", image.min_disk), ("min_ram", image.min_ram)):
        if value > _LARGEST_NUMBER:
            raise RefusedError(f"'{name}' value out of range, must not exceed {_LARGEST_NUMBER}.")
        if value < 0:
            raise RefusedError(
                f"Invalid value '{value}' for parameter '{name}': Cannot be a negative value"
            )
