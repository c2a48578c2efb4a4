"""What a replica says of its origin: four properties on the target image.

    meltemi_source         where the image comes from: library and id
    meltemi_source_hash    the hash of its data there; `computed:` where none was recorded
    meltemi_replicated_at  when it was last written, or which replicator is at work on it
    meltemi_written        names and digests of what was last written, for three-way merges

The last one is bound to the image's own id. Nova copies an image's properties to every snapshot
of a machine that booted from it; without that bond each snapshot would pass for a replica.
Provenance is only a claim: `replication.context` believes it only on images of the right owner.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from meltemi.model.image import Hashes, Image, Member, Value, digest

PREFIX: Final = "meltemi_"
SOURCE: Final = "meltemi_source"
SOURCE_HASH: Final = "meltemi_source_hash"
REPLICATED_AT: Final = "meltemi_replicated_at"
WRITTEN: Final = "meltemi_written"
COMPUTED: Final = "computed:"
PENDING: Final = f"{COMPUTED}pending"
"""Where the source recorded no hash, and its data has not been read to the end yet."""

_DIGITS: Final = 12


def short(value: object) -> str:
    """Digest a value for comparison only: 48 bits of its SHA-256."""
    return digest(value)[:_DIGITS]


def member_digests(members: Iterable[Member]) -> frozenset[str]:
    """Digest members, each with what it says to the offer."""
    return frozenset(short([member.id, member.status]) for member in members)


def timestamp(moment: datetime) -> str:
    """Write a time as the Image API does."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Written:
    """Digests of what a replicator last wrote: attributes by name, tags and members by value."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()

    @classmethod
    def of(cls, attributes: Mapping[str, Value], members: tuple[Member, ...] = ()) -> "Written":
        """Digest what is about to be written."""
        tags = attributes.get("tags")
        return cls(
            {name: short(value) for name, value in attributes.items() if name != "tags"},
            frozenset(map(short, tags)) if isinstance(tags, frozenset) else frozenset(),
            member_digests(members),
        )


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a replica comes from and what was last written to it.

    `library` is the source's identity; `at` is the text of `meltemi_replicated_at`; `route` names
    the route that wrote it; `gone_since` says since when the source has been missing, where it is.
    """

    library: str
    source_id: str
    source_hash: str
    written: Written = field(default_factory=Written)
    at: str = ""
    route: str = ""
    gone_since: datetime | None = None

    def properties(self, target_id: str) -> dict[str, str]:
        """Write the four properties, bound to the image that will carry them."""
        written: dict[str, object] = {
            "id": short(target_id),
            "attributes": dict(self.written.attributes),
            "tags": sorted(self.written.tags),
        }
        if self.written.members:
            written["members"] = sorted(self.written.members)
        if self.route:
            written["route"] = self.route
        if self.gone_since:
            written["gone"] = timestamp(self.gone_since)
        return {
            SOURCE: f"{self.library}/{self.source_id}",
            SOURCE_HASH: self.source_hash,
            REPLICATED_AT: self.at,
            WRITTEN: json.dumps(written, separators=(",", ":")),
        }


def read_provenance(image: Image) -> Provenance | None:
    """Read what an image says of its origin; None where it says nothing that fits its own id."""
    if WRITTEN not in image.properties:
        return None
    texts = (
        image.properties.get(name, "") for name in (SOURCE, SOURCE_HASH, REPLICATED_AT, WRITTEN)
    )
    return _read(image.id, *texts)


# Planning asks several times of each image, one image after the other.
@lru_cache(maxsize=64)
def _read(
    image_id: str, source: str, source_hash: str, replicated_at: str, text: str
) -> Provenance | None:
    library, _, source_id = source.rpartition("/")
    if not library:
        return None
    try:
        body = json.loads(text)
        if body["id"] != short(image_id):
            return None
        gone = body.get("gone")
        return Provenance(
            library=library,
            source_id=source_id,
            source_hash=source_hash,
            written=Written(
                {str(name): str(value) for name, value in body["attributes"].items()},
                frozenset(map(str, body["tags"])),
                frozenset(map(str, body.get("members", ()))),
            ),
            at=replicated_at,
            route=str(body.get("route", "")),
            gone_since=datetime.fromisoformat(gone).astimezone(UTC) if gone else None,
        )
    except (AttributeError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def describe_hash(hashes: Hashes) -> str:
    """Give the text of `meltemi_source_hash` for what a source recorded."""
    if hashes.value:
        return f"{hashes.algorithm}:{hashes.value}"
    return f"md5:{hashes.checksum}" if hashes.checksum else PENDING
