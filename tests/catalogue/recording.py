"""Images to record, and how they are read back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from meltemi.catalogue.base import Catalogue
from meltemi.model.image import Hashes, Image
from meltemi.model.listing import Listing, Viewer
from meltemi.model.record import Content, Record

ADMIN: Final = Viewer(None, is_admin=True)
OWNER: Final = Viewer("owner")
OTHER: Final = Viewer("other")
NOBODY: Final = Viewer(None)


def fresh(**attributes: Any) -> Record:
    """Make a record of an image of `owner`'s with an id of its own."""
    return Record(Image(**{"id": str(uuid4()), "owner": "owner"} | attributes))


def data(size: int = 10, **attributes: Any) -> Content:
    """Make a content with an id of its own."""
    return Content(f"head/{uuid4()}", size, Hashes("md5", "sha512", "hash"), **attributes)


def altered(record: Record, **attributes: Any) -> Record:
    """Make a record with other attributes of its image."""
    return replace(record, image=replace(record.image, **attributes))


async def filled(catalogue: Catalogue, content: Content | None = None, **attributes: Any) -> Record:
    """Take in an image that has data."""
    added = await catalogue.add(fresh(**attributes))
    return await catalogue.move(
        added.image.id, expected=["queued"], status="active", content=content or data()
    )


async def names(catalogue: Catalogue, viewer: Viewer, **wanted: Any) -> list[str | None]:
    """Name the images of a page, in its order."""
    return [record.image.name for record in await catalogue.page(Listing(viewer, **wanted))]


async def walk(catalogue: Catalogue, listing: Listing) -> list[str]:
    """Give the ids of the images of all pages, in their order."""
    found: list[str] = []
    while page := await catalogue.page(listing):
        assert len(page) <= listing.limit
        found += [record.image.id for record in page]
        listing = replace(listing, marker=found[-1])
    return found


def full(**attributes: Any) -> Mapping[str, Any]:
    """Give a value for every attribute of an image, none of them the default."""
    return {
        "name": "Ein „Name“ \N{PILE OF POO}",
        "visibility": "shared",
        "owner": "owner",
        "disk_format": "qcow2",
        "container_format": "bare",
        "min_disk": 3,
        "min_ram": 2**31 - 1,
        "protected": True,
        "os_hidden": True,
        "tags": frozenset({"a", "b'c", '"', "ü"}),
        "properties": {"k": "v", 'k"x': '"', "$.a[0]": "\\", "": "", "leer": "\u2028"},
    } | attributes
