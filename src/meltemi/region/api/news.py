"""What the cloud is told of images and their members, as Glance words it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from meltemi.model.image import Image, Member
from meltemi.model.record import Record
from meltemi.region.api.wire import STORE, to_the_second
from meltemi.region.service import Call, Service

_THERE: Final = {"deleted": False, "deleted_at": None}
_IMPORTING: Final[Mapping[str, list[str]]] = {
    "os_glance_importing_to_stores": [],
    "os_glance_failed_import": [],
}


def tell(service: Service, event: str, record: Record) -> None:
    """Tell of something that has happened to an image."""
    service.notifier.tell(event, _of_image(record.image))


def tell_deleted(call: Call, record: Record) -> None:
    """Tell that an image is no more."""
    payload = {**_of_image(record.image), "status": "deleted", **_gone()}
    call.service.notifier.tell("image.delete", payload)


def tell_begun(service: Service, record: Record) -> None:
    """Tell that an image is about to get its data."""
    tell(service, "image.update", record)
    payload = {**_of_image(record.image), **_IMPORTING, "backend": STORE}
    service.notifier.tell("image.prepare", payload)


def tell_filled(service: Service, record: Record) -> None:
    """Tell that an image has its data."""
    service.notifier.tell("image.upload", {**_of_image(record.image), **_IMPORTING})
    tell_active(service, record)


def tell_active(service: Service, record: Record) -> None:
    """Tell that an image's data can be had."""
    tell(service, "image.activate", record)
    tell(service, "image.update", record)


def tell_failed(service: Service, image: str, error: object) -> None:
    """Tell that an image did not get its data."""
    text = f"Failed to upload image data for image {image} due to HTTP error: {error}"
    service.notifier.tell("image.upload", text, priority="error")


def tell_sent(call: Call, image: Image, size: int) -> None:
    """Tell that somebody got so many bytes of an image."""
    payload = {
        "bytes_sent": size,
        "image_id": image.id,
        "owner_id": image.owner,
        "receiver_tenant_id": call.context.project,
        "receiver_user_id": call.context.user,
    }
    call.service.notifier.tell("image.send", payload)


def tell_member(call: Call, event: str, image: Image, member: Member) -> None:
    """Tell of something that has happened to a member of an image."""
    payload = {
        "image_id": image.id,
        "member_id": member.id,
        "status": member.status,
        "created_at": to_the_second(member.created_at),
        "updated_at": to_the_second(member.updated_at),
        **(_gone() if event == "image.member.delete" else _THERE),
    }
    call.service.notifier.tell(event, payload)


def _of_image(image: Image) -> dict[str, Any]:
    return {
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "created_at": to_the_second(image.created_at),
        "updated_at": to_the_second(image.updated_at),
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "protected": image.protected,
        "checksum": image.hashes.checksum,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "is_public": image.visibility == "public",
        "visibility": image.visibility,
        "properties": dict(image.properties),
        "tags": sorted(image.tags),
        **_THERE,
    }


def _gone() -> dict[str, Any]:
    return {"deleted": True, "deleted_at": to_the_second(datetime.now(UTC).isoformat())}
