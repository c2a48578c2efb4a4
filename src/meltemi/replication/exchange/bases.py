"""Bases: images at a target that probably have much of what a new one is made of. Pure.

A guess that is wrong costs some requests; what is taken from a base is compared, never guessed.
"""

import re
from bisect import insort
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from meltemi.model.image import Image
from meltemi.model.provenance import read_provenance

MOST: Final = 4
"""Bases of one image."""

_NUMBERS: Final = re.compile(r"\d+")

_Key = tuple[str, ...]


_FEW: Final = 1000
"""Images of a target that are remembered, so that it need not be listed again."""


class Seen:
    """The images that a target has listed, as long as they are few."""

    def __init__(self) -> None:
        self._images: dict[str, Image] = {}

    def look(self, image: Image) -> None:
        """Remember an image."""
        if len(self._images) <= _FEW:
            self._images[image.id] = image

    @property
    def all(self) -> Collection[Image] | None:
        """Give all images that were listed; None where those are too many."""
        return self._images.values() if len(self._images) <= _FEW else None


class Bases:
    """Chooses bases for images that are to be copied, from a target's images as they are listed.

    What it holds grows with the former only.
    """

    def __init__(self, images: Iterable[Image]) -> None:
        keys = (key for image in images for key in _wanted(image))
        self._found: dict[_Key, list[tuple[str, str]]] = {key: [] for key in keys}

    def look(self, image: Image) -> None:
        """Remember an image of the target, if it is among the newest of those that may serve."""
        if image.status != "active" or not image.size:
            return
        for key in _offered(image):
            if (found := self._found.get(key)) is not None:
                insort(found, (image.created_at or "", image.id))
                del found[:-MOST]

    def choose(self, image: Image) -> tuple[str, ...]:
        """Give the ids of an image's bases, the most promising first."""
        chosen: list[str] = []
        for key in _wanted(image):
            for _, image_id in reversed(self._found[key]):
                if key[0] == "data":
                    return (image_id,)
                if image_id not in chosen and len(chosen) < MOST:
                    chosen.append(image_id)
        return tuple(chosen)


class Kin:
    """Finds, among images that are to be copied together, one that another may be made of.

    The oldest of those that are alike comes first, and all others are made of it. So none waits
    for more than one of each kind.
    """

    def __init__(self, images: Iterable[Image]) -> None:
        self._first: dict[_Key, Image] = {}
        for image in sorted(images, key=_age):
            if image.status == "active" and image.size:
                for key in _offered(image):
                    self._first.setdefault(key, image)

    def find(self, image: Image) -> Image | None:
        """Give the image of which another may be made, if there is one that is older."""
        for key in _wanted(image):
            first = self._first.get(key)
            if first is not None and _age(first) < _age(image):
                return first
        return None


def _age(image: Image) -> tuple[str, str]:
    return image.created_at or "", image.id


def _wanted(image: Image) -> Iterator[_Key]:
    """Say by what the bases of a source image are known, the best first."""
    yield from _data(image)
    yield "id", image.id
    if server := image.properties.get("instance_uuid"):
        yield "server", server
    yield from _named(image)
    if parent := image.properties.get("base_image_ref"):
        yield "id", parent
    yield from _kind(image)


def _offered(image: Image) -> Iterator[_Key]:
    """Say by what an image of the target may be known as a base."""
    yield from _data(image)
    yield "id", image.id
    origin = read_provenance(image)
    if origin is not None and origin.source_id != image.id:
        yield "id", origin.source_id
    if server := image.properties.get("instance_uuid"):
        yield "server", server
    yield from _named(image)
    yield from _kind(image)


def _data(image: Image) -> Iterator[_Key]:
    if image.hashes.value and image.hashes.algorithm:
        yield "data", image.hashes.algorithm, image.hashes.value


def _named(image: Image) -> Iterator[_Key]:
    if image.name:
        yield "name", image.name
        # The builds of an image are often told apart by a date or a number alone.
        if any(map(str.isalpha, image.name)):
            yield "alike", _NUMBERS.sub("0", image.name)


def _kind(image: Image) -> Iterator[_Key]:
    system, version = image.properties.get("os_distro"), image.properties.get("os_version")
    if system and version:
        yield "system", system, version
