"""Names in an archive: which there are, and what each stands for (docs/archive-format.md)."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from meltemi.libraries.archive.files import PART

LOCK: Final = "lock"
MANIFEST: Final = "manifest.jsonl"
IMAGES: Final = "images"
SET: Final = ".set"
"""What the file ends in that binds a set of bundles together: no archive, but carried to one."""

UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

# A table, and not the format itself: what a source calls a format is no part of a file's name.
_SUFFIXES: Final = {
    **{name: f".{name}" for name in ("aki", "ami", "ari", "iso", "ploop", "qcow2", "raw")},
    **{name: f".{name}" for name in ("vdi", "vhd", "vhdx", "vmdk")},
}
_OTHER: Final = ".data"
_NAME: Final = re.compile(
    rf"(?P<id>{UUID})"
    r"(?:\.(?P<version>[1-9][0-9]{0,8})\.json"
    rf"|(?P<suffix>{'|'.join(map(re.escape, (*_SUFFIXES.values(), _OTHER)))}))"
)


class Kind(Enum):
    """What a file in the folder of images is."""

    METADATA = "metadata"
    DATA = "data"
    PART = "part"


@dataclass(frozen=True, slots=True)
class Name:
    """A file's name, taken apart; `version` counts the writings of one image's metadata."""

    kind: Kind
    image_id: str
    version: int = 0


def parse(name: str) -> Name | None:
    """Take a name apart; None for one that no archive has."""
    whole = name.removesuffix(PART)
    if name != whole and re.fullmatch(UUID, whole):
        return Name(Kind.PART, whole)
    found = _NAME.fullmatch(whole)
    if found is None:
        return None
    if name != whole:
        return Name(Kind.PART, found["id"])
    if found["version"]:
        return Name(Kind.METADATA, found["id"], int(found["version"]))
    return Name(Kind.DATA, found["id"])


def is_uuid(text: str) -> bool:
    """Say whether a text is a UUID as OpenStack writes it."""
    return re.fullmatch(UUID, text) is not None


def metadata_name(image_id: str, version: int) -> str:
    """Name the file of an image's metadata."""
    return f"{image_id}.{version}.json"


def data_name(image_id: str, disk_format: str | None) -> str:
    """Name the file of an image's data."""
    return f"{image_id}{_SUFFIXES.get(disk_format or '', _OTHER)}"


def part_name(image_id: str) -> str:
    """Name the file of an image's data on its way."""
    return f"{image_id}{PART}"
