"""The lines of a manifest: what an archive holds of one image, or that it was deleted."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meltemi.libraries.archive import layout, strictjson
from meltemi.libraries.archive.layout import Kind
from meltemi.libraries.archive.metadata import reason


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that counts: its name in the folder of images, its size in bytes, its sha512."""

    file: str
    size: int
    sha512: str

    def body(self) -> dict[str, str | int]:
        """Give it as JSON."""
        return {"file": self.file, "size": self.size, "sha512": self.sha512}


@dataclass(frozen=True, slots=True)
class Entry:
    """What the archive holds of one image; `data` is None as long as the image is queued."""

    id: str
    metadata: Stored
    data: Stored | None = None

    @property
    def version(self) -> int:
        """Give how often the metadata was written."""
        name = layout.parse(self.metadata.file)
        return name.version if name else 0

    def line(self) -> bytes:
        """Write the entry as a line."""
        data = self.data.body() if self.data else None
        return strictjson.line({"id": self.id, "metadata": self.metadata.body(), "data": data})


def deleted_line(image_id: str) -> bytes:
    """Write that an image was deleted."""
    return strictjson.line({"id": image_id, "deleted": True})


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    file: str
    size: Annotated[int, Field(ge=0)]
    sha512: Annotated[str, Field(pattern="^[0-9a-f]{128}$")]

    def of(self, image_id: str, kind: Kind) -> Stored:
        name = layout.parse(self.file)
        if name is None or name.kind is not kind or name.image_id != image_id:
            raise ValueError(f"{kind.value}.file is no name for a file of {image_id}")
        return Stored(self.file, self.size, self.sha512)


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: Annotated[str, Field(pattern=f"^{layout.UUID}$")]
    metadata: _Stored | None = None
    data: _Stored | None = None
    deleted: Literal[True] | None = None


def parse(body: Any) -> tuple[str, Entry | None]:
    """Read a line: an id, and its entry, or None where the image was deleted.

    Raise ValueError saying in a few words what is wrong with it.
    """
    try:
        line = _Line.model_validate(body)
    except ValidationError as error:
        raise ValueError(reason(error)) from None
    if line.deleted:
        if line.metadata or line.data:
            raise ValueError("it has files of an image that was deleted")
        return line.id, None
    if not line.metadata:
        raise ValueError("it has no metadata")
    metadata = line.metadata.of(line.id, Kind.METADATA)
    return line.id, Entry(
        line.id, metadata, line.data.of(line.id, Kind.DATA) if line.data else None
    )
