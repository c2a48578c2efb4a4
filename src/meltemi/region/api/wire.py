"""Images as the API shows them."""

from typing import Any, Final

from meltemi.model.location import location_of
from meltemi.model.record import Record
from meltemi.model.wire import image_to_wire
from meltemi.region.service import Call

STORE: Final = "chunks"
"""The id of the one store that a region has."""

HIDDEN_PROPERTIES: Final = frozenset({"os_glance_stage_host", "os_glance_hash_op_host"})


def shown(call: Call, record: Record) -> dict[str, Any]:
    """Give an image as its body, with the properties that who asks may read."""
    image = record.image
    body = image_to_wire(image)
    path = f"/v2/images/{image.id}"
    for name in image.properties.keys() - call.readable(image.properties).keys():
        del body[name]
    for name in HIDDEN_PROPERTIES & body.keys():
        del body[name]
    body |= {
        "created_at": to_the_second(image.created_at),
        "updated_at": to_the_second(image.updated_at),
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }
    if _is_told(call, record):
        body["stores"] = STORE
    found = locations(call, record)
    if call.settings.show_multiple_locations:
        body["locations"] = found
    if found and call.settings.show_image_direct_url:
        body["direct_url"] = found[0]["url"]
    return body


def locations(call: Call, record: Record) -> list[dict[str, Any]]:
    """Give where an image's data lies: one place, or none.

    What is still in the Glance that is adopted has no place here, and what was adopted without a
    hash has no name yet.
    """
    hashes = record.image.hashes
    if not _is_told(call, record) or record.is_remote or hashes.value is None:
        return []
    return [{"url": location_of(STORE, hashes), "metadata": {"store": STORE}}]


def _is_told(call: Call, record: Record) -> bool:
    """Say whether it is told where data lies; of what is withheld, administrators alone are."""
    image = record.image
    told = image.status == "active" or (image.has_data and call.context.is_admin)
    return record.content is not None and told


def to_the_second(time: str | None) -> str | None:
    """Give a time as the API shows it, without fractions of a second."""
    return None if time is None else f"{time[:19]}Z"
