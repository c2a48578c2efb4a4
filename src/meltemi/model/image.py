"""An image and what describes it, as the OpenStack Image API v2 has them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from meltemi.errors import printable

Value = str | int | bool | frozenset[str] | None
"""What an attribute of an image can be; a set only for `tags`."""

STATUS: Final = "meltemi_status"
"""The property in which an owner reads what became of the regions that he has chosen."""

PUBLISHED_LAST: Final = frozenset({"visibility", "protected", "os_hidden"})
"""Attributes set only once an image's data has been verified."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """What a library recorded about an image's data: md5, and one hash of a named algorithm."""

    checksum: str | None = None
    algorithm: str | None = None
    value: str | None = None

    def __bool__(self) -> bool:
        return bool(self.checksum or self.value)

    def agree(self, other: "Hashes") -> bool | None:
        """Say whether both describe the same data; None where they cannot be compared."""
        if self.value and other.value and self.algorithm == other.algorithm:
            return self.value == other.value
        if self.checksum and other.checksum:
            return self.checksum == other.checksum
        return None


@dataclass(frozen=True, slots=True)
class Image:
    """Metadata and data under one UUID.

    `size` is in bytes, `min_disk` in GiB, `min_ram` in MiB; times are ISO 8601 in UTC, as the
    API gives them. `properties` are the free ones, without the base attributes.
    """

    id: str
    name: str | None = None
    status: str = "queued"
    visibility: str = "private"
    owner: str | None = None
    size: int | None = None
    virtual_size: int | None = None
    hashes: Hashes = field(default_factory=Hashes)
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    os_hidden: bool = False
    tags: frozenset[str] = frozenset()
    properties: Mapping[str, str] = field(default_factory=dict)
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def has_data(self) -> bool:
        """Say whether the image's data is complete, also where reading it is suspended."""
        return self.status in ("active", "deactivated")

    @property
    def label(self) -> str:
        """Name the image for a person."""
        return printable(f"{self.name} ({self.id})" if self.name else self.id)

    def attributes(self) -> dict[str, Value]:
        """Give everything a replicator may carry, flat as in the API, formats and owner aside."""
        return {
            "name": self.name,
            "status": self.status,
            "visibility": self.visibility,
            "min_disk": self.min_disk,
            "min_ram": self.min_ram,
            "protected": self.protected,
            "os_hidden": self.os_hidden,
            "tags": self.tags,
            **self.properties,
        }


BASE_ATTRIBUTES: Final = frozenset(Image("").attributes())
"""Attributes that every image has: they can be changed, and never removed."""

MEMBER_STATUSES: Final = ("pending", "accepted", "rejected")
"""What a project can say to an image that is offered to it."""


@dataclass(frozen=True, slots=True)
class Member:
    """A project that a shared image is offered to, and what it says to that.

    When it was offered and answered, in ISO 8601, makes no difference to what it is.
    """

    id: str
    status: str = "pending"
    created_at: str | None = field(default=None, compare=False)
    updated_at: str | None = field(default=None, compare=False)


def digest(value: object) -> str:
    """Hash anything made of plain values, independent of the order of keys and set members."""
    return sha256(_canonical.encode(value).encode()).hexdigest()


def state_digest(image: Image | None, members: tuple[Member, ...] | None = None) -> str:
    """Hash everything about an image that a plan may rely on.

    Left aside are its time stamps, and what its owner is told of it: that changes by itself.
    """
    if image is None:
        return "absent"
    attributes = image.attributes()
    attributes.pop(STATUS, None)
    state: dict[str, object] = {
        "attributes": attributes,
        "id": image.id,
        "owner": image.owner,
        "size": image.size,
        "hash": [image.hashes.checksum, image.hashes.algorithm, image.hashes.value],
        "formats": [image.disk_format, image.container_format],
    }
    if members is not None:
        state["members"] = sorted([member.id, member.status] for member in members)
    return digest(state)


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")


# json.dumps with options makes an encoder at every call, and planning digests a lot.
_canonical: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain)
