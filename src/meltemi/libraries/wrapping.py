"""A library that hands everything on to another one: what wrappers are made of."""

from collections.abc import AsyncIterator

from meltemi.libraries.base import Changes, Library
from meltemi.model.image import Image, Member


class Wrapped:
    """Does what the library inside does; wrappers do some of it otherwise."""

    def __init__(self, inner: Library) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """Give what the user calls it."""
        return self._inner.name

    @property
    def identity(self) -> str:
        """Give what provenance calls it."""
        return self._inner.identity

    @property
    def project(self) -> str | None:
        """Give the project that new images belong to."""
        return self._inner.project

    @property
    def keeps_owners(self) -> bool:
        """Say whether images keep their owners."""
        return self._inner.keeps_owners

    def list_images(self) -> AsyncIterator[list[Image]]:
        """Give every image."""
        return self._inner.list_images()

    async def show(self, image_id: str) -> Image:
        """Give one image."""
        return await self._inner.show(image_id)

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Give an image's members."""
        return await self._inner.list_members(image_id)

    def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Give an image's data."""
        return self._inner.read(image_id, offset)

    async def create(self, image: Image) -> Image:
        """Register an image."""
        return await self._inner.create(image)

    async def upload(self, image_id: str, size: int, data: AsyncIterator[bytes]) -> None:
        """Send data."""
        await self._inner.upload(image_id, size, data)

    async def update(self, image_id: str, changes: Changes) -> Image:
        """Change an image."""
        return await self._inner.update(image_id, changes)

    async def add_member(self, image_id: str, member: Member) -> None:
        """Offer an image."""
        await self._inner.add_member(image_id, member)

    async def remove_member(self, image_id: str, project: str) -> None:
        """Withdraw an offer."""
        await self._inner.remove_member(image_id, project)

    async def delete(self, image_id: str) -> None:
        """Delete an image."""
        await self._inner.delete(image_id)

    async def close(self) -> None:
        """Leave the library inside open: who opened it closes it."""
