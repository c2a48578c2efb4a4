"""An archive as a target: what `dump` writes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from meltemi.errors import (
    ConflictError,
    CorruptionError,
    ForbiddenError,
    InterruptedTransfer,
    RefusedError,
)
from meltemi.libraries.archive import layout, metadata
from meltemi.libraries.archive.changes import changed
from meltemi.libraries.archive.contents import Contents, Edit
from meltemi.libraries.archive.files import BLOCK
from meltemi.libraries.archive.incoming import Incoming
from meltemi.libraries.archive.metadata import Described
from meltemi.libraries.archive.reader import ArchiveReader
from meltemi.libraries.base import Changes
from meltemi.model.image import Hashes, Image, Member
from meltemi.model.provenance import timestamp
from meltemi.threads import in_thread


class Archive(ArchiveReader):
    """An archive that is read and written, by nobody else at the same time."""

    def __init__(self, name: str, path: Path, contents: Contents, lock: int) -> None:
        super().__init__(name, path, contents, lock)
        self._receiving: set[str] = set()

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
        await in_thread(self._contents.add, image.id, raw)
        return await self.show(image.id)

    async def upload(self, image_id: str, size: int, data: AsyncIterator[bytes]) -> None:
        """Store exactly `size` bytes, hash them on the way, and make the image active."""
        if image_id in self._receiving:
            raise ConflictError(f"image {image_id} is being written to {self._where} already")
        self._receiving.add(image_id)
        try:
            await in_thread(self._contents.expect_queued, image_id)
            incoming = Incoming(self._contents.images, layout.part_name(image_id))
            try:
                await in_thread(incoming.begin)
                await self._receive(incoming, image_id, size, data)
                await in_thread(incoming.settle)
                hashes = incoming.hasher.hashes
                fill = _filling(size, hashes)
                await in_thread(self._contents.fill, image_id, fill, size, hashes.value or "")
            finally:
                await in_thread(incoming.end)
        finally:
            self._receiving.discard(image_id)

    async def update(self, image_id: str, changes: Changes) -> Image:
        """Change attributes and properties; `updated_at` stays what the source said, or is set."""

        def edit(described: Described) -> bytes:
            image, members = described
            return metadata.encode_wire(changed(image, changes), members)

        return (await in_thread(self._contents.edit, image_id, edit))[0]

    async def add_member(self, image_id: str, member: Member) -> None:
        """Offer a shared image to a project; a second time sets the status."""

        def offer(image: Image, members: dict[str, Member]) -> None:
            if image.visibility != "shared":
                raise ForbiddenError(f"image {image.label} is {image.visibility}, not shared")
            members[member.id] = member

        await in_thread(self._contents.edit, image_id, _on_members(offer))

    async def remove_member(self, image_id: str, project: str) -> None:
        """Withdraw the offer; no error where there was none."""
        if not any(member.id == project for member in await self.list_members(image_id)):
            return

        def withdraw(_: Image, members: dict[str, Member]) -> None:
            members.pop(project, None)

        await in_thread(self._contents.edit, image_id, _on_members(withdraw))

    async def delete(self, image_id: str) -> None:
        """Delete the image; its id can never be used again in this archive."""
        await in_thread(self._contents.delete, image_id)

    async def _receive(
        self, incoming: Incoming, image_id: str, size: int, data: AsyncIterator[bytes]
    ) -> None:
        pending, received = bytearray(), 0
        async for piece in data:
            received += len(piece)
            if received > size:
                raise CorruptionError(
                    f"image {image_id}: more than the announced {size} bytes came for {self._where}"
                )
            pending += piece
            if len(pending) >= BLOCK:
                await in_thread(incoming.write, pending)
                pending = bytearray()
        await in_thread(incoming.write, pending)
        if received < size:
            raise InterruptedTransfer(
                f"image {image_id}: {received} of {size} bytes came for {self._where}; run again"
            )


def _filling(size: int, hashes: Hashes) -> Edit:
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
