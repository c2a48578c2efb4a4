"""An archive that a run would make: what a dry run finds where there is nothing yet."""

from collections.abc import AsyncIterator
from pathlib import Path

from meltemi.errors import VanishedError
from meltemi.libraries.archive.readonly import ReadOnly
from meltemi.model.image import Image, Member


class AbsentArchive(ReadOnly):
    """Holds nothing, and makes nothing."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, path.resolve(), "is not made by a dry run")

    async def list_images(self) -> AsyncIterator[list[Image]]:
        """Give no page."""
        none: tuple[list[Image], ...] = ()
        for page in none:
            yield page

    async def show(self, image_id: str) -> Image:
        """Raise VanishedError."""
        raise VanishedError(f"image {image_id}: {self._where} does not exist yet")

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Raise VanishedError."""
        raise VanishedError(f"image {image_id}: {self._where} does not exist yet")

    async def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Raise VanishedError."""
        del offset
        yield (await self.show(image_id)).id.encode()

    async def close(self) -> None:
        """Let go of nothing."""


def is_absent(path: Path) -> bool:
    """Say whether an archive could be begun here."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))
