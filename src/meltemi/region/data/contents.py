"""Data in the chunk store, for tasks: everything that blocks runs in threads."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from uuid import uuid4

from meltemi.chunks.blob import Buffer
from meltemi.chunks.store import Store
from meltemi.chunks.writer import Writer
from meltemi.errors import VanishedError
from meltemi.model.image import Hashes
from meltemi.model.record import Content

_T = TypeVar("_T")

BATCH: Final = 4 * 2**20
"""Bytes that go to a thread, or come from one, at once."""

_NAME: Final = re.compile(r"[0-9a-fA-F-]{36}/(?P<holder>[0-9a-f]{32})/[0-9a-f]{32}")
"""What uploads are called: the image's id, who brought it, and a random number."""

_THREADS: Final = 64
"""Uploads and downloads that move at the same moment; others take turns."""


class Contents:
    """The data of a region's images."""

    def __init__(self, store: Store, algorithm: str, holder: str) -> None:
        self._holder = holder
        self._store = store
        self._algorithm = algorithm
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="data")

    @asynccontextmanager
    async def receiving(self, image: str) -> AsyncIterator["Incoming"]:
        """Begin to take in an image's data; what is not published is given up."""
        hashes = tuple({"md5", self._algorithm})
        context = self._store.writing(hashes=hashes)
        writer = await self.in_thread(context.__enter__)
        try:
            yield Incoming(self, writer, f"{image}/{self._holder}/{uuid4().hex}", self._algorithm)
        finally:
            await asyncio.shield(self.in_thread(lambda: context.__exit__(None, None, None)))

    async def read(
        self, content: str, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Give a range of data, verified, in pieces of about a batch; close it when done."""
        head = await self.in_thread(lambda: self._store.head(content))
        reader = await self.in_thread(lambda: self._store.reader(head))
        pieces = reader.read(offset, length)
        try:
            while batch := await self.in_thread(lambda: _gather(pieces)):
                yield batch
        finally:
            await asyncio.shield(self.in_thread(pieces.close))

    async def let_go(self, content: str) -> None:
        """Forget data that no image has; the collector frees what nothing else needs."""

        def remove() -> None:
            try:
                self._store.remove(content)
            except VanishedError:
                return

        await self.in_thread(remove)

    async def stored(self) -> Mapping[str, str]:
        """Name all data of uploads that is stored, and by which holder each was made."""

        def find() -> dict[str, str]:
            found = (_NAME.fullmatch(head.name) for head in self._store.heads.all())
            return {name[0]: name["holder"] for name in found if name}

        return await self.in_thread(find)

    async def check(self) -> None:
        """Raise StoreError, or what its backend raises, where the store is away."""
        await self.in_thread(self._store.check)

    async def close(self) -> None:
        """Let go of the store."""
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._store.close)

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        """Do something that blocks."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class Incoming:
    """One image's data on its way in."""

    def __init__(self, contents: Contents, writer: Writer, name: str, algorithm: str) -> None:
        self._contents = contents
        self._writer = writer
        self._name = name
        self._algorithm = algorithm

    async def write(self, data: bytes) -> None:
        """Take in more data, in order, one call after another."""
        await self._contents.in_thread(lambda: self._writer.write(data))

    async def finish(self) -> Content:
        """Publish what came, under a name that nothing else has."""
        put = await self._contents.in_thread(lambda: self._writer.finish(self._name))
        found = put.head.hashes
        hashes = Hashes(found["md5"], self._algorithm, found[self._algorithm])
        return Content(self._name, put.head.size, hashes)


def _gather(pieces: Iterator[Buffer]) -> bytes:
    """Join the next pieces to about a batch; empty at the end."""
    gathered: list[Buffer] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= BATCH:
            break
    return b"".join(gathered)
