"""Deltas: an image as stretches of others, of parts, and of zeros (docs/exchange.md)."""

import json
import re
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from meltemi.chunks.manifest import LARGEST_DATA

MEDIA_TYPE: Final = "application/vnd.meltemi.delta"
LONGEST_LINE: Final = 8192
MOST_IMAGES: Final = 16
MOST_PARTS: Final = 10_000

_FORMAT: Final = 1
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class DeltaError(ValueError):
    """This is no delta."""


class Origin(StrEnum):
    """Where bytes come from: an image that is there, or a part that was sent."""

    IMAGE = "i"
    PART = "p"


class Stretch(NamedTuple):
    """A stretch of data: so many bytes from a place of an image or a part, or zeros.

    `number` is an image's place among those of the delta, or the part's number.
    """

    length: int
    origin: Origin | None = None
    number: int = 0
    offset: int = 0


Stretches = AsyncGenerator[list[Stretch]]
"""The stretches of some data as they come, as many at once as are there."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a delta begins with: the size of the data, and the ids of the images it is made of."""

    size: int
    images: tuple[str, ...] = ()


def encode_outline(outline: Outline) -> bytes:
    """Write the first line."""
    facts = {"format": _FORMAT, "size": outline.size, "images": list(outline.images)}
    return json.dumps(facts).encode() + b"\n"


def encode_stretch(stretch: Stretch) -> bytes:
    """Write one of the lines that follow."""
    if stretch.origin is None:
        return b"[%d]\n" % stretch.length
    origin = stretch.origin.encode()
    return b'[%d, "%s", %d, %d]\n' % (stretch.length, origin, stretch.number, stretch.offset)


class DeltaReader:
    """Reads a delta line by line, and knows whether all of it came."""

    def __init__(self, first: bytes) -> None:
        self.outline = _outline(_read(first))
        self._left = self.outline.size

    def read(self, line: bytes) -> Stretch:
        """Give the next stretch; raise DeltaError where it is none, or does not fit."""
        stretch = _stretch(_read(line), self.outline)
        self._left -= stretch.length
        if self._left < 0:
            raise DeltaError(f"its stretches are longer than its size, {self.outline.size}")
        return stretch

    def finish(self) -> None:
        """Raise DeltaError where something is missing."""
        if self._left:
            raise DeltaError(f"{self._left} of its {self.outline.size} bytes are missing")


def joined(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """Make one of stretches that go on where the one before ends."""
    last: Stretch | None = None
    for stretch in stretches:
        if last is None:
            last = stretch
        elif _continues(last, stretch):
            last = last._replace(length=last.length + stretch.length)
        else:
            yield last
            last = stretch
    if last is not None:
        yield last


def _continues(one: Stretch, two: Stretch) -> bool:
    if one.origin is None or two.origin is None:
        return one.origin is two.origin
    return (two.origin, two.number, two.offset) == (one.origin, one.number, one.offset + one.length)


def _read(line: bytes) -> Any:
    if len(line) > LONGEST_LINE or not line.endswith(b"\n"):
        raise DeltaError("a line that is too long, or does not end")
    try:
        return json.loads(line.decode("ascii"))
    except (ValueError, RecursionError):
        raise DeltaError("a line that is not JSON") from None


def _outline(facts: Any) -> Outline:
    match facts:
        case {"format": 1, "size": int(size), "images": [*images], **rest} if not rest:
            if not _is_number(size, LARGEST_DATA) or len(images) > MOST_IMAGES:
                raise DeltaError(f"more than {LARGEST_DATA} bytes, or {MOST_IMAGES} images")
            if not all(isinstance(image, str) and _ID.fullmatch(image) for image in images):
                raise DeltaError("an image that is not named by its id")
            return Outline(size, tuple(images))
    raise DeltaError(f"its first line does not tell format {_FORMAT}, size and images")


def _stretch(line: Any, outline: Outline) -> Stretch:
    match line:
        case [length] if _is_number(length, LARGEST_DATA) and length:
            return Stretch(length)
        case [length, ("i" | "p") as name, number, offset] if (
            _is_number(length, LARGEST_DATA) and length and _is_number(offset, LARGEST_DATA)
        ):
            origin = Origin(name)
            most = len(outline.images) if origin is Origin.IMAGE else MOST_PARTS
            if _is_number(number, most - 1):
                return Stretch(length, origin, number, offset)
    raise DeltaError(f"a line that is no stretch: {json.dumps(line)[:80]}")


def _is_number(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most
