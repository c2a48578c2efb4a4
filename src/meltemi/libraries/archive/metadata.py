"""One image's metadata and members as an archive has them: checked JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from meltemi.libraries.archive import strictjson
from meltemi.libraries.archive.layout import UUID
from meltemi.model.image import Image, Member
from meltemi.model.wire import image_from_wire, image_to_wire, members_from_wire

LIMIT: Final = 16 << 20
"""The most bytes of one image's metadata: Glance's own limits allow about 9 MiB."""


def _a_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


_Time = Annotated[str, AfterValidator(_a_time)]
_Count = Annotated[int, Field(ge=0)]


class _Image(BaseModel):
    """The Image API v2's image; whatever else it has is a free property, hence a text."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, str]

    id: Annotated[str, Field(pattern=f"^{UUID}$")]
    name: str | None
    status: Literal["queued", "active", "deactivated"]
    visibility: Literal["public", "community", "shared", "private"]
    owner: str | None
    size: _Count | None
    virtual_size: _Count | None
    checksum: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None
    os_hash_algo: Literal["sha512"] | None
    os_hash_value: Annotated[str, Field(pattern="^[0-9a-f]{128}$")] | None
    disk_format: str | None
    container_format: str | None
    min_disk: _Count
    min_ram: _Count
    protected: bool
    os_hidden: bool
    tags: list[str]
    created_at: _Time
    updated_at: _Time


class _Member(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    member_id: str
    status: Literal["pending", "accepted", "rejected"]


class _Metadata(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    image: _Image
    members: list[_Member]


Described = tuple[Image, tuple[Member, ...]]
"""What one metadata file says."""


def encode(image: Image, members: tuple[Member, ...]) -> bytes:
    """Write metadata; raise ValueError where `decode` would not accept it."""
    return encode_wire(image_to_wire(image), members)


def encode_wire(image: Mapping[str, Any], members: tuple[Member, ...]) -> bytes:
    """Write metadata that is JSON already; raise ValueError where `decode` would not accept it."""
    raw = strictjson.pretty(
        {
            "image": image,
            "members": [{"member_id": member.id, "status": member.status} for member in members],
        }
    )
    if len(raw) > LIMIT:
        raise ValueError(f"its metadata has more than {LIMIT} bytes")
    decode(raw)
    return raw


def decode(raw: bytes) -> Described:
    """Read metadata; raise ValueError saying in a few words what is wrong with it."""
    body = strictjson.loads(raw)
    try:
        _Metadata.model_validate(body)
    except ValidationError as error:
        raise ValueError(reason(error)) from None
    return image_from_wire(body["image"]), members_from_wire(body["members"])


def reason(error: ValidationError) -> str:
    """Give the first thing that is wrong, without quoting what was found there."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(ascii(part).strip("'")[:64] for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
