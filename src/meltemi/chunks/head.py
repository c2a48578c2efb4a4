"""Heads: the small objects that give manifests their names (docs/chunk-store.md)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from blake3 import blake3

from meltemi.chunks.blob import ROOT, BlobId, parse_id
from meltemi.chunks.cut import Cut
from meltemi.chunks.manifest import LARGEST_DATA
from meltemi.errors import UsageError

_VERSION: Final = 1
_LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Head:
    """One image's data in a store: its name, its manifest, its size in bytes and its hashes."""

    name: str
    manifest: BlobId
    size: int
    cut: str
    hashes: Mapping[str, str]
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    id: str = field(default_factory=lambda: uuid4().hex)

    @property
    def object(self) -> str:
        """Give the name of its object in the backend."""
        return object_of(self.id)

    def encode(self) -> str:
        """Write it as its object has it."""
        facts = {**asdict(self), "manifest": self.manifest.hex(), "version": _VERSION}
        del facts["id"]
        line = json.dumps(facts, sort_keys=True)
        return f"{line}\n{blake3(line.encode()).hexdigest()}\n"

    @classmethod
    def decode(cls, head_id: str, text: str) -> "Head":
        """Read what `encode` wrote; raise ValueError where it is anything else."""
        line, newline, told = text.partition("\n")
        if not newline or told != blake3(line.encode()).hexdigest() + "\n":
            raise ValueError("it does not have its hash")
        facts = json.loads(line)
        if not isinstance(facts, dict) or facts.pop("version", None) != _VERSION:
            raise ValueError("a head of another version")
        try:
            manifest = parse_id(facts.pop("manifest"))
            if manifest[0] != ROOT or facts["cut"] not in {cut.label for cut in Cut}:
                raise ValueError("it does not lead to a manifest")
            head = cls(**facts, manifest=manifest, id=head_id)
            head.must_be_plausible()
        except (AttributeError, KeyError, TypeError, UsageError) as error:
            raise ValueError(f"not as a head should be: {error}") from error
        return head

    def must_be_plausible(self) -> None:
        """Raise ValueError, or UsageError for its name, where it cannot be what a writer made."""
        checked_name(self.name)
        if type(self.size) is not int or not 0 <= self.size <= LARGEST_DATA:
            raise ValueError("a size that cannot be")
        if not all(isinstance(text, str) for text in [self.created, *self.hashes.values()]):
            raise ValueError("a hash or a time that is no text")


def object_of(head_id: str) -> str:
    """Give the name of a head's object in the backend."""
    return f"heads/{head_id}"


def checked_name(name: str) -> str:
    """Give a name back if an image may have it."""
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"{name!r}: an image's name has 1 to {_LONGEST_NAME} characters that can be printed"
        )
    return name
