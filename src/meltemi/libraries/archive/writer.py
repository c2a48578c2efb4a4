"""An archive as a target: what `dump` writes."""

from collections.abc import AsyncIterator
from pathlib import Path

from meltemi.libraries.archive import layout
from meltemi.libraries.archive.contents import Contents
from meltemi.libraries.archive.editing import MetadataWriter, filling
from meltemi.libraries.archive.incoming import Incoming
from meltemi.libraries.archive.reader import ArchiveReader
from meltemi.threads import in_thread


class Archive(MetadataWriter, ArchiveReader):
    """An archive that is read and written, by nobody else at the same time."""

    def __init__(self, name: str, path: Path, contents: Contents, lock: int) -> None:
        super().__init__(name, path, contents, lock)
        self._keeping = contents
        self._received: set[str] = set()

    async def upload(self, image_id: str, size: int, data: AsyncIterator[bytes]) -> None:
        """Store exactly `size` bytes, hash them on the way, and make the image active."""
        with self._receiving(image_id):
            await in_thread(self._contents.expect_queued, image_id)
            incoming = Incoming(self._contents.images, layout.part_name(image_id))

            async def write(block: bytearray) -> None:
                await in_thread(incoming.write, block)

            try:
                await in_thread(incoming.begin)
                await self._receive(write, image_id, size, data)
                await in_thread(incoming.settle)
                hashes = incoming.hasher.hashes
                fill = filling(size, hashes)
                await in_thread(self._contents.fill, image_id, fill, size, hashes.value or "")
            finally:
                await in_thread(incoming.end)
