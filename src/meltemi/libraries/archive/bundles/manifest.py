"""The manifest of a set of bundles: what binds them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meltemi.chunks.blob import BlobId, parse_id
from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive import strictjson
from meltemi.libraries.archive.bundles import sealing
from meltemi.libraries.archive.bundles.state import SET_ID
from meltemi.libraries.archive.files import shown
from meltemi.libraries.archive.metadata import reason

SIGNATURE: Final = ".sig"
"""Behind the name of a set's file: that of its signature."""

STATE: Final = ".state"
MOST: Final = 99_999
"""Bundles that a set may have."""

_FORMAT: Final = "meltemi-bundle-set"
_VERSION: Final = 1
_BUNDLE: Final = "meltemi-bundle"


@dataclass(frozen=True, slots=True)
class Part:
    """One bundle: its size in bytes, and the BLAKE3 of what follows its header."""

    size: int
    blake3: str


@dataclass(frozen=True, slots=True)
class Base:
    """An image's data that has to be there: its manifest, and what the image is called."""

    manifest: BlobId
    image: str


@dataclass(frozen=True, slots=True)
class SetManifest:
    """A set: its bundles in their order, what it builds on, the set to be applied before it."""

    id: str
    parts: Sequence[Part]
    bases: Sequence[Base] = ()
    after: str | None = None

    def encode(self) -> bytes:
        """Write it as its file has it."""
        facts = {
            "format": _FORMAT,
            "version": _VERSION,
            "set": self.id,
            "after": self.after,
            "bundles": [{"size": part.size, "blake3": part.blake3} for part in self.parts],
            "bases": [{"manifest": b.manifest.hex(), "image": b.image} for b in self.bases],
        }
        return sealing.seal([facts])

    def name(self, number: int) -> str:
        """Name the file of a bundle, counted from 1."""
        return bundle_name(self.id, number)

    def header(self, number: int) -> bytes:
        """Give the first line of a bundle."""
        return header(self.id, number, len(self.parts))


def bundle_name(set_id: str, number: int) -> str:
    """Name the file of a bundle, counted from 1."""
    return f"{set_id}.{number:05}.bundle"


def header(set_id: str, number: int, count: int) -> bytes:
    """Give the first line of a bundle, as long for every number and count."""
    facts = {"format": _BUNDLE, "version": _VERSION, "set": set_id}
    return strictjson.line({**facts, "number": f"{number:05}", "count": f"{count:05}"})


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    size: Annotated[int, Field(ge=0)]
    blake3: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Base(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    manifest: str
    image: str


class _Set(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    format: Literal["meltemi-bundle-set"]
    version: Literal[1]
    set: Annotated[str, Field(pattern=f"^{SET_ID}$")]
    after: Annotated[str, Field(pattern=f"^{SET_ID}$")] | None
    bundles: Annotated[list[_Part], Field(min_length=1, max_length=MOST)]
    bases: list[_Base]


def decode(path: Path, content: bytes) -> SetManifest:
    """Read a manifest that stands in a file; raise ArchiveError where it is none."""
    try:
        [facts] = sealing.unseal(content)
        found = _Set.model_validate(facts)
        bases = [Base(parse_id(base.manifest), base.image) for base in found.bases]
    except ValidationError as error:
        raise ArchiveError(f"{shown(path)}: not a set of bundles: {reason(error)}") from None
    except (ValueError, UsageError) as error:
        raise ArchiveError(f"{shown(path)}: not a set of bundles: {error}") from error
    parts = [Part(part.size, part.blake3) for part in found.bundles]
    return SetManifest(found.set, parts, bases, found.after)
