"""Finding a few images without reading a whole listing: an ability that a library may have."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from meltemi.libraries.base import Library
from meltemi.libraries.wrapping import Wrapped
from meltemi.model.image import Image


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for: every image that fits one of these.

    `ids` are those of images; `names` have a name and a project each (None: whatever project), of
    images that are not hidden; `properties` have the name of a property and its value.
    """

    ids: frozenset[str] = frozenset()
    names: frozenset[tuple[str, str | None]] = frozenset()
    properties: frozenset[tuple[str, str]] = frozenset()

    def fits(self, image: Image) -> bool:
        """Say whether an image is one of those."""
        return (
            image.id in self.ids
            or self._is_called(image)
            or any(image.properties.get(name) == value for name, value in self.properties)
        )

    def _is_called(self, image: Image) -> bool:
        if image.os_hidden or not image.name:
            return False
        return not self.names.isdisjoint({(image.name, image.owner), (image.name, None)})


@runtime_checkable
class Finding(Protocol):
    """A library that finds images faster than by its listing."""

    async def find(self, sought: Sought) -> Sequence[Image]:
        """Give at least those images of the listing that fit; some may come twice."""
        ...


async def find(library: Library, sought: Sought) -> list[Image]:
    """Give the images of a library's listing that fit, ascending by id."""
    if not (sought.ids or sought.names or sought.properties):
        return []
    found: dict[str, Image] = {}
    if isinstance(library, Finding):
        found = {image.id: image for image in await library.find(sought)}
    else:
        async for page in library.list_images():
            found |= {image.id: image for image in page if sought.fits(image)}
    return [found[image_id] for image_id in sorted(found) if sought.fits(found[image_id])]


class Excerpt(Wrapped):
    """A library of whose images only some are listed."""

    def __init__(self, inner: Library, images: Sequence[Image]) -> None:
        super().__init__(inner)
        self._images = sorted(images, key=lambda image: image.id)

    async def list_images(self) -> AsyncIterator[list[Image]]:
        """Give them."""
        if self._images:
            yield list(self._images)
