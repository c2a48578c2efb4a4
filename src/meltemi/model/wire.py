"""Images as the JSON of the Image API v2 (also what an archive keeps).

https://docs.openstack.org/api-ref/image/v2/ defines the attributes; every other key of the flat
object is a free property.
"""

from collections.abc import Iterable, Mapping
from sys import intern
from types import MappingProxyType
from typing import Any, Final

from meltemi.model.image import Hashes, Image, Member

_ATTRIBUTES: Final = frozenset(
    {
        *("id", "name", "status", "visibility", "owner", "size", "virtual_size"),
        *("checksum", "os_hash_algo", "os_hash_value", "disk_format", "container_format"),
        *("min_disk", "min_ram", "protected", "os_hidden", "tags", "created_at", "updated_at"),
        *("self", "file", "schema", "direct_url", "locations", "stores"),
    }
)


def image_from_wire(body: Mapping[str, Any]) -> Image:
    """Read one image; raise KeyError, TypeError or ValueError where it is none."""
    properties = {
        intern(key): value if isinstance(value, str) else str(value)
        for key, value in body.items()
        if key not in _ATTRIBUTES and value is not None
    }
    size = body.get("size")
    return Image(
        id=str(body["id"]),
        name=body.get("name"),
        status=intern(body["status"]),
        visibility=intern(body["visibility"]),
        owner=body.get("owner"),
        size=None if size is None else int(size),
        virtual_size=body.get("virtual_size"),
        hashes=Hashes(body.get("checksum"), body.get("os_hash_algo"), body.get("os_hash_value")),
        disk_format=body.get("disk_format"),
        container_format=body.get("container_format"),
        min_disk=int(body.get("min_disk") or 0),
        min_ram=int(body.get("min_ram") or 0),
        protected=bool(body.get("protected")),
        os_hidden=bool(body.get("os_hidden")),
        tags=frozenset(body.get("tags") or ()),
        properties=MappingProxyType(properties),
        created_at=body.get("created_at"),
        updated_at=body.get("updated_at"),
    )


def image_to_wire(image: Image) -> dict[str, Any]:
    """Write one image, free properties beside the attributes."""
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "owner": image.owner,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksum": image.hashes.checksum,
        "os_hash_algo": image.hashes.algorithm,
        "os_hash_value": image.hashes.value,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "protected": image.protected,
        "os_hidden": image.os_hidden,
        "tags": sorted(image.tags),
        "created_at": image.created_at,
        "updated_at": image.updated_at,
    }


def members_from_wire(bodies: Iterable[Mapping[str, Any]]) -> tuple[Member, ...]:
    """Read the members of one image, ordered by project."""
    members = (
        Member(
            str(body["member_id"]),
            str(body["status"]),
            body.get("created_at"),
            body.get("updated_at"),
        )
        for body in bodies
    )
    return tuple(sorted(members, key=lambda member: member.id))
