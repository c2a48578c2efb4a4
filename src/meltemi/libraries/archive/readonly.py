"""A library whose every writing method says that it cannot be written."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

from meltemi.errors import UsageError
from meltemi.libraries.archive.files import shown
from meltemi.libraries.base import Changes
from meltemi.model.image import Image, Member


class ReadOnly:
    """What an archive is to one that only reads it; `why` says why it cannot be written.

    Its place is a folder, or the URL of a bucket.
    """

    project: str | None = None
    keeps_owners = True

    def __init__(self, name: str, place: Path | str, why: str) -> None:
        self.name = name
        self.identity = place if isinstance(place, str) else f"file://{place}"
        self._where = place if isinstance(place, str) else shown(place)
        self._why = why

    async def create(self, image: Image) -> Image:
        """Raise UsageError."""
        self._refuse(image.label)

    async def upload(self, image_id: str, size: int, data: AsyncIterator[bytes]) -> None:
        """Raise UsageError."""
        del size, data
        self._refuse(image_id)

    async def update(self, image_id: str, changes: Changes) -> Image:
        """Raise UsageError."""
        del changes
        self._refuse(image_id)

    async def add_member(self, image_id: str, member: Member) -> None:
        """Raise UsageError."""
        del member
        self._refuse(image_id)

    async def remove_member(self, image_id: str, project: str) -> None:
        """Raise UsageError."""
        del project
        self._refuse(image_id)

    async def delete(self, image_id: str) -> None:
        """Raise UsageError."""
        self._refuse(image_id)

    def _refuse(self, label: str) -> NoReturn:
        raise UsageError(f"image {label}: {self._where} {self._why}")
