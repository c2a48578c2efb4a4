"""What policies may ask about the things that requests concern, under Glance's names."""

from collections.abc import Mapping

from meltemi.model.image import Image
from meltemi.region.checks import Facts
from meltemi.region.context import Context


def of_image(context: Context, image: Image) -> Facts:
    """Give the facts of an image that the sender has found in the catalogue.

    Whoever finds a shared image that is another's must be a member, and is the target's
    `member_id`; policies of members are asked about an image, not about one of its members.
    """
    foreign = image.visibility == "shared" and image.owner != context.project
    member = context.project if foreign else None
    return {
        **image.properties,
        "id": image.id,
        "image_id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "owner": image.owner,
        "project_id": image.owner,
        "member": member,
        "member_id": member,
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
    }


def of_new_image(context: Context, attributes: Mapping[str, object]) -> Facts:
    """Give the facts of an image that is to be made with these attributes, or of none at all."""
    owner = attributes.get("owner", context.project)
    visibility = attributes.get("visibility", "private")
    return {"project_id": owner, "owner": owner, "visibility": visibility}


def of_project(context: Context) -> Facts:
    """Give the facts of whatever concerns the sender's project alone, as a listing."""
    return {"project_id": context.project}


def of_namespace(name: str, owner: str | None, visibility: str) -> Facts:
    """Give the facts of a namespace of metadata definitions, and all that is in it."""
    return {"namespace": name, "project_id": owner, "visibility": visibility}
