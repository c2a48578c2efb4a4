"""Changes to an image's metadata, by the Image API's own rules."""

from typing import Any, Final

from meltemi.errors import ConflictError, ForbiddenError
from meltemi.libraries.base import Changes
from meltemi.model.image import Image
from meltemi.model.wire import image_to_wire

_FREE: Final = frozenset(
    {
        *("name", "visibility", "owner", "min_disk", "min_ram", "protected", "os_hidden", "tags"),
        *("created_at", "updated_at", "status"),
    }
)
_WHILE_QUEUED: Final = frozenset({"disk_format", "container_format"})
ATTRIBUTES: Final = frozenset(image_to_wire(Image(""))) | {
    *("self", "file", "schema", "direct_url", "locations", "stores")
}
"""Names that no free property can have."""


def changed(image: Image, changes: Changes) -> dict[str, Any]:
    """Give the changed image as JSON, not yet checked for what values may be.

    Raise `ForbiddenError` for attributes that nobody may set or remove, and `ConflictError`
    where the image's state stands in the way.
    """
    body = image_to_wire(image)
    for key, value in changes.set.items():
        if body.get(key, changes) == value:
            continue
        if key in _WHILE_QUEUED and image.has_data:
            raise ConflictError(f"image {image.label} has its data; its {key} is settled")
        if key in ATTRIBUTES - _FREE - _WHILE_QUEUED:
            raise ForbiddenError(f"image {image.label}: {key} cannot be set")
        if key == "status" and not (image.has_data and value in ("active", "deactivated")):
            raise ConflictError(f"image {image.label} is {image.status}, and cannot become {value}")
        body[key] = sorted(value) if isinstance(value, frozenset) else value
    for key in changes.remove:
        if key in ATTRIBUTES:
            raise ForbiddenError(f"image {image.label}: {key} cannot be removed")
        body.pop(key, None)
    return body
