"""The metadata of an archive that is written: the same for every kind of archive."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

from meltemi.errors import (
    ConflictError,
    CorruptionError,
    ForbiddenError,
    InterruptedTransfer,
    RefusedError,
)
from meltemi.libraries.archive import metadata
from meltemi.libraries.archive.changes import changed
from meltemi.libraries.archive.contents import Edit
from meltemi.libraries.archive.files import BLOCK
from meltemi.libraries.archive.metadata import Described
from meltemi.libraries.archive.reader import Listing, MetadataReader
from meltemi.libraries.base import Changes
from meltemi.model.image import Hashes, Image, Member
from meltemi.model.provenance import timestamp
from meltemi.threads import in_thread


class Keeping(Listing, Protocol):
    """What an archive's images are, and how that changes. Every method blocks."""

    def add(self, image_id: str, raw: bytes) -> None:
        """Add a queued image with encoded metadata."""
        ...

    def edit(self, image_id: str, edit: Edit) -> Described:
        """Write an image's metadata anew, and give it."""
        ...

    def delete(self, image_id: str) -> None:
        """Delete an image and burn its id."""
        ...


class MetadataWriter(MetadataReader):
    """Writes an archive's metadata; nobody else does at the same time."""

    _keeping: Keeping
    _received: set[str]

    @contextmanager
    def _receiving(self, image_id: str) -> Iterator[None]:
        """Let nobody else of this process write an image's data; ConflictError where one does."""
        if image_id in self._received:
            raise ConflictError(f"image {image_id} is being written to {self._where} already")
        self._received.add(image_id)
        try:
            yield
        finally:
            self._received.discard(image_id)

    async def create(self, image: Image) -> Image:
        """Add a queued image, with the times that are given; those missing are now."""
        now = timestamp(datetime.now(UTC))
        image = replace(
            image,
            id=image.id or str(uuid4()),
            status="queued",
            size=None,
            hashes=Hashes(),
            created_at=image.created_at or now,
            updated_at=image.updated_at or image.created_at or now,
        )
        try:
            raw = metadata.encode(image, ())
        except ValueError as error:
            raise RefusedError(f"image {image.id!a}: {self._where} cannot hold {error}") from error
        await in_thread(self._keeping.add, image.id, raw)
        return await self.show(image.id)

    async def update(self, image_id: str, changes: Changes) -> Image:
        """Change attributes and properties; `updated_at` stays what the source said, or is set."""

        def edit(described: Described) -> bytes:
            image, members = described
            return metadata.encode_wire(changed(image, changes), members)

        return (await in_thread(self._keeping.edit, image_id, edit))[0]

    async def add_member(self, image_id: str, member: Member) -> None:
        """Offer a shared image to a project; a second time sets the status."""

        def offer(image: Image, members: dict[str, Member]) -> None:
            if image.visibility != "shared":
                raise ForbiddenError(f"image {image.label} is {image.visibility}, not shared")
            members[member.id] = member

        await in_thread(self._keeping.edit, image_id, _on_members(offer))

    async def remove_member(self, image_id: str, project: str) -> None:
        """Withdraw the offer; no error where there was none."""
        if not any(member.id == project for member in await self.list_members(image_id)):
            return

        def withdraw(_: Image, members: dict[str, Member]) -> None:
            members.pop(project, None)

        await in_thread(self._keeping.edit, image_id, _on_members(withdraw))

    async def delete(self, image_id: str) -> None:
        """Delete the image; its id can never be used again in this archive."""
        await in_thread(self._keeping.delete, image_id)

    async def _receive(
        self,
        write: Callable[[bytearray], Awaitable[None]],
        image_id: str,
        size: int,
        data: AsyncIterator[bytes],
    ) -> None:
        """Write exactly `size` bytes of data, in blocks that are written once."""
        pending, received = bytearray(), 0
        async for piece in data:
            received += len(piece)
            if received > size:
                raise CorruptionError(
                    f"image {image_id}: more than the announced {size} bytes came for {self._where}"
                )
            pending += piece
            if len(pending) >= BLOCK:
                await write(pending)
                pending = bytearray()
        await write(pending)
        if received < size:
            raise InterruptedTransfer(
                f"image {image_id}: {received} of {size} bytes came for {self._where}; run again"
            )


def filling(size: int, hashes: Hashes) -> Edit:
    """Give what makes a queued image one that has its data."""

    def edit(described: Described) -> bytes:
        image, members = described
        return metadata.encode(replace(image, status="active", size=size, hashes=hashes), members)

    return edit


def _on_members(change: Callable[[Image, dict[str, Member]], None]) -> Edit:
    def edit(described: Described) -> bytes:
        image, old = described
        members = {member.id: member for member in old}
        change(image, members)
        return metadata.encode(image, tuple(members[project] for project in sorted(members)))

    return edit
