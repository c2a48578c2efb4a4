"""An archive on a chunk store as a library."""

from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack
from pathlib import Path

from meltemi.chunks.blob import Buffer
from meltemi.chunks.head import Head
from meltemi.chunks.writer import Writer
from meltemi.errors import CorruptionError, DamageError
from meltemi.libraries.archive import data
from meltemi.libraries.archive.dedup.contents import Contents, name_of
from meltemi.libraries.archive.editing import MetadataWriter
from meltemi.libraries.archive.files import BLOCK
from meltemi.libraries.archive.reader import MetadataReader
from meltemi.model.image import Hashes
from meltemi.threads import in_thread


class DedupReader(MetadataReader):
    """An archive that is only read; `release` lets go of what was made for reading it."""

    def __init__(
        self, name: str, place: Path | str, contents: Contents, release: ExitStack
    ) -> None:
        super().__init__(name, place, contents)
        self._contents = contents
        self._release = release

    async def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Give the image's data from `offset` on, every piece held against its hash."""
        head = await in_thread(self._contents.data, image_id)
        pieces = await in_thread(self._pieces, head, offset)
        try:
            while block := await in_thread(_next_block, pieces):
                yield block
        finally:
            await in_thread(pieces.close)

    async def verify(self, image_id: str) -> None:
        """Keep the contract of `Verifiable`."""
        image = await self.show(image_id)
        head = await in_thread(self._contents.data, image_id)
        recorded = Hashes(image.hashes.checksum, "sha512", head.hashes.get("sha512"))
        try:
            await data.verify(self.read(image_id), image.label, self._where, head.size, recorded)
        except DamageError as error:
            raise CorruptionError(f"image {image.label}: {error}") from error

    async def close(self) -> None:
        """Let go of the store and of the right to write it; a second time does nothing."""
        await in_thread(self._release.close)

    def _pieces(self, head: Head, offset: int) -> Generator[Buffer]:
        return self._contents.store.reader(head).read(offset)


class DedupArchive(MetadataWriter, DedupReader):
    """An archive that is read and written, by nobody else at the same time."""

    def __init__(
        self, name: str, place: Path | str, contents: Contents, release: ExitStack
    ) -> None:
        super().__init__(name, place, contents, release)
        self._keeping = contents
        self._received: set[str] = set()

    async def upload(self, image_id: str, size: int, data: AsyncIterator[bytes]) -> None:
        """Store exactly `size` bytes, as far as they are new, and make the image active."""
        with self._receiving(image_id):
            await in_thread(self._contents.expect_queued, image_id)
            with ExitStack() as writing:
                writer = await in_thread(self._begin, writing)

                async def write(block: bytearray) -> None:
                    await in_thread(writer.write, bytes(block))

                try:
                    await self._receive(write, image_id, size, data)
                    await in_thread(self._finish, writer, image_id)
                finally:
                    await in_thread(writing.close)

    def _begin(self, writing: ExitStack) -> Writer:
        return writing.enter_context(self._contents.store.writing())

    def _finish(self, writer: Writer, image_id: str) -> None:
        self._contents.fill(image_id, writer.finish(name_of(image_id)).head)


def _next_block(pieces: Generator[Buffer]) -> bytes:
    """Give the next pieces as one, empty at the end: the way to a thread and back takes a while."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= BLOCK:
            break
    return bytes(block)
