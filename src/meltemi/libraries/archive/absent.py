"""An archive that a run would make: what is to be found where there is nothing yet."""

from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Final, NoReturn

from meltemi.errors import UsageError, VanishedError
from meltemi.libraries.archive.readonly import ReadOnly
from meltemi.model.image import Image, Member

_BROUGHT: Final = frozenset({"lost+found"})
"""What a file system puts into its own root."""


class AbsentArchive(ReadOnly):
    """Holds nothing, and makes nothing."""

    def __init__(self, name: str, place: Path | str) -> None:
        place = place if isinstance(place, str) else place.resolve()
        super().__init__(name, place, "is not made by a dry run")

    async def list_images(self) -> AsyncIterator[list[Image]]:
        """Give no page."""
        none: tuple[list[Image], ...] = ()
        for page in none:
            yield page

    async def show(self, image_id: str) -> Image:
        """Raise VanishedError."""
        self._refuse(image_id)

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Raise VanishedError."""
        self._refuse(image_id)

    async def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Raise VanishedError."""
        del offset
        yield (await self.show(image_id)).id.encode()

    async def verify(self, image_id: str) -> None:
        """Raise VanishedError."""
        self._refuse(image_id)

    async def create(self, image: Image) -> Image:
        """Raise UsageError."""
        raise UsageError(f"image {image.label}: {self._where} {self._why}")

    async def close(self) -> None:
        """Let go of nothing."""

    def _refuse(self, label: str) -> NoReturn:
        raise VanishedError(f"image {label}: {self._where} does not exist yet")


def is_absent(path: Path, beside: Collection[str] = ()) -> bool:
    """Say whether an archive could be begun in a folder, which may hold what is named `beside`."""
    try:
        path = path.resolve()
        if not path.exists():
            return True
        return path.is_dir() and {entry.name for entry in path.iterdir()} <= {*_BROUGHT, *beside}
    except (OSError, RuntimeError, ValueError):
        return False  # whoever opens it learns what is wrong with it
