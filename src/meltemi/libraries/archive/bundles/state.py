"""The state of an archive: what it has, for another to know what it lacks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meltemi.chunks.blob import BlobId, parse_id
from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive.bundles import sealing
from meltemi.libraries.archive.files import shown
from meltemi.libraries.archive.layout import UUID
from meltemi.libraries.archive.metadata import reason

_FORMAT: Final = "meltemi-archive-state"
_VERSION: Final = 1
SET_ID: Final = r"[0-9]{8}t[0-9]{6}z-[0-9a-f]{16}"
"""Names a set: when it was made, and something random."""


@dataclass(frozen=True, slots=True)
class Known:
    """An image that an archive has: the version of its metadata, the manifest of its data.

    Where it was deleted, it has neither.
    """

    version: int | None
    manifest: BlobId | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What an archive has, once the set `after` has been applied to it, where one is named."""

    images: Mapping[str, Known] = field(default_factory=dict)
    after: str | None = None

    def encode(self) -> bytes:
        """Write it as a file has it."""
        header = {"format": _FORMAT, "version": _VERSION, "after": self.after}
        return sealing.seal([header, *(_line(i, self.images[i]) for i in sorted(self.images))])


class _Header(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    format: Literal["meltemi-archive-state"]
    version: Literal[1]
    after: Annotated[str, Field(pattern=f"^{SET_ID}$")] | None


class _Image(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: Annotated[str, Field(pattern=f"^{UUID}$")]
    version: Annotated[int, Field(ge=1)] | None
    manifest: str | None


def read_state(path: Path) -> State:
    """Read a state from a file; raise ArchiveError where it is none, UsageError if not there."""
    content = sealing.read_file(path)
    try:
        header, *lines = sealing.unseal(content)
        after = _Header.model_validate(header).after
        return State(dict(map(_known, lines)), after)
    except ValidationError as error:
        raise ArchiveError(
            f"{shown(path)}: not a state, as lies beside a set in a file that ends in .state: "
            f"{reason(error)}"
        ) from None
    except (ValueError, UsageError) as error:
        raise ArchiveError(f"{shown(path)}: not a state: {error}") from error


def _line(image_id: str, known: Known) -> dict[str, Any]:
    manifest = None if known.manifest is None else known.manifest.hex()
    return {"id": image_id, "version": known.version, "manifest": manifest}


def _known(line: Any) -> tuple[str, Known]:
    image = _Image.model_validate(line)
    manifest = None if image.manifest is None else parse_id(image.manifest)
    return image.id, Known(image.version, manifest)
