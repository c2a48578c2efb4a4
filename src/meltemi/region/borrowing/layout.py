"""What an image that borrows consists of, in bytes (docs/snapshots.md)."""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from typing import Any, Final, NamedTuple

from meltemi.chunks.blob import BlobId, parse_id
from meltemi.errors import DamageError, UsageError

TRAILER: Final = 8
"""Bytes at the end that tell the length of the description."""

_FORMAT: Final = 1


class Source(StrEnum):
    """Where bytes are: in what the image has itself, or at the peer."""

    OWN = "own"
    LENT = "lent"


class Stretch(NamedTuple):
    """A stretch of the image's data: so many bytes from a place of a source, or zeros."""

    length: int
    source: Source | None = None
    offset: int = 0


@dataclass(frozen=True)
class Description:
    """How an image that borrows is put together: `size` in bytes, `hold` the image at the peer.

    `hash` is an algorithm and a value; `own` the bytes that the image has itself, which are first.
    `segments` are those of the manifest of all its data, by name, the root first: where each
    begins after the own data, and how long it is.
    """

    size: int
    region: str
    hold: str
    hash: tuple[str, str]
    own: int
    segments: Sequence[tuple[BlobId, int]]
    stretches: Sequence[Stretch]

    @cached_property
    def starts(self) -> Sequence[int]:
        """Give where in the data each stretch begins; at last, where it ends."""
        return list(accumulate((one.length for one in self.stretches), initial=0))

    @cached_property
    def places(self) -> Mapping[BlobId, tuple[int, int]]:
        """Give where each segment is among the segments, and how long it is."""
        begins = accumulate((length for _, length in self.segments), initial=0)
        return {
            name: (at, length) for (name, length), at in zip(self.segments, begins, strict=False)
        }

    def between(self, first: int, end: int) -> Iterator[tuple[int, Stretch]]:
        """Give the stretches of a range of the data, cut to fit, and where each begins."""
        number = bisect_right(self.starts, first) - 1
        while first < end:
            length, source, offset = self.stretches[number]
            skipped = first - self.starts[number]
            used = min(length - skipped, end - first)
            yield first, Stretch(used, source, offset + skipped if source else 0)
            first += used
            number += 1


def encode_description(description: Description) -> bytes:
    """Write what follows the segments."""
    stretches = [
        [one.length, one.source, one.offset] if one.source else [one.length]
        for one in description.stretches
    ]
    facts = {
        "format": _FORMAT,
        "size": description.size,
        "region": description.region,
        "hold": description.hold,
        "hash": description.hash,
        "own": description.own,
        "segments": [(name.hex(), length) for name, length in description.segments],
        "stretches": stretches,
    }
    data = json.dumps(facts, separators=(",", ":")).encode()
    return data + len(data).to_bytes(TRAILER, "little")


def decode_description(data: bytes) -> Description:
    """Read it, without the trailer; raise DamageError where it is none."""
    try:
        return _description(json.loads(data))
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise DamageError(f"not the description of an image that borrows: {error!r}") from error


def _description(facts: Mapping[str, Any]) -> Description:
    if facts["format"] != _FORMAT:
        raise ValueError(f"format {facts['format']}")
    algorithm, value = facts["hash"]
    found = Description(
        size=int(facts["size"]),
        region=str(facts["region"]),
        hold=str(facts["hold"]),
        hash=(str(algorithm), str(value)),
        own=int(facts["own"]),
        segments=[(parse_id(name), int(length)) for name, length in facts["segments"]],
        stretches=[_stretch(*one) for one in facts["stretches"]],
    )
    if found.starts[-1] != found.size:
        raise ValueError(f"stretches of {found.starts[-1]} bytes")
    if not found.segments:
        raise ValueError("no manifest")
    return found


def _stretch(length: int, source: str | None = None, offset: int = 0) -> Stretch:
    return Stretch(length, None if source is None else Source(source), offset)
