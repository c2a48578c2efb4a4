"""The Image API v1's metadata, read as an image of today.

Either the JSON of `/v1/images/detail`, or the headers `x-image-meta-…` as a flat object in which
every value is a text.
"""

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from meltemi.libraries.archive import strictjson
from meltemi.libraries.archive.changes import ATTRIBUTES
from meltemi.libraries.archive.layout import UUID
from meltemi.libraries.archive.metadata import reason
from meltemi.model.image import Hashes, Image
from meltemi.model.provenance import timestamp

_PREFIXES: Final = ("property-", "x-image-meta-property-")


def _a_time(text: str) -> str:
    time = datetime.fromisoformat(text)
    return timestamp(time if time.tzinfo else time.replace(tzinfo=UTC))


_Time = Annotated[str, AfterValidator(_a_time)]
_Count = Annotated[int, Field(ge=0)]
_Value = str | int | float | bool | None


class _Metadata(BaseModel):
    """Not strict: in headers, numbers and truths are texts."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(pattern=f"^{UUID}$")]
    status: str
    name: str | None = None
    size: _Count | None = None
    checksum: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None = None
    owner: str | None = None
    is_public: bool = False
    protected: bool = False
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: _Count | None = None
    min_ram: _Count | None = None
    created_at: _Time | None = None
    updated_at: _Time | None = None
    properties: dict[str, _Value] = Field(default_factory=dict)


def decode(raw: bytes, *, image_id: str, data_size: int | None) -> Image:
    """Read an image's metadata, beside which `data_size` bytes of data lie, or none at all.

    Raise ValueError saying in a few words what is wrong with it.
    """
    body = strictjson.loads(raw)
    if isinstance(body, dict):
        # Headers have no other way to say "none".
        body = {key: value for key, value in body.items() if value != ""}
    try:
        found = _Metadata.model_validate(body)
    except ValidationError as error:
        raise ValueError(reason(error)) from None
    if found.id != image_id:
        raise ValueError("it is another image's")
    complete = found.status in ("active", "deactivated") and data_size is not None
    if complete and found.size not in (None, data_size):
        raise ValueError(f"it says {found.size} bytes, but beside it are {data_size}")
    return Image(
        id=found.id,
        name=found.name,
        status=found.status if complete else "queued",
        visibility="public" if found.is_public else "private",
        owner=found.owner,
        size=data_size if complete else None,
        hashes=Hashes(found.checksum) if complete else Hashes(),
        disk_format=found.disk_format,
        container_format=found.container_format,
        min_disk=found.min_disk or 0,
        min_ram=found.min_ram or 0,
        protected=found.protected,
        properties=MappingProxyType(_properties(found)),
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _properties(found: _Metadata) -> dict[str, str]:
    flat: dict[str, Any] = found.model_extra or {}
    named = {
        key.removeprefix(prefix): value
        for prefix in _PREFIXES
        for key, value in flat.items()
        if key.startswith(prefix)
    }
    return {
        key: value if isinstance(value, str) else str(value)
        for key, value in {**named, **found.properties}.items()
        if value is not None and key not in ATTRIBUTES
    }
