"""Data in the chunk store, for tasks: everything that blocks runs in threads."""

import asyncio
import logging
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import uuid4

from meltemi.chunks.blob import BlobId, Buffer
from meltemi.chunks.manifest import Entry
from meltemi.chunks.store import Store
from meltemi.chunks.writer import PIECE, Known, Put, Writer
from meltemi.errors import (
    AuthenticationError,
    QuotaError,
    StoreError,
    UnavailableError,
    UnreachableError,
    UsageError,
    VanishedError,
)
from meltemi.model.image import Hashes, Image
from meltemi.model.record import BORROWED, Content, is_borrowed
from meltemi.region.borrowing.peer import Peer
from meltemi.region.borrowing.reading import BorrowedImages
from meltemi.region.data.hot_files import HotFiles

_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)

BATCH: Final = 4 * 2**20
"""Bytes that come from a thread at once."""

_ENOUGH: Final = 2**20
"""Bytes that go to a thread at once; more would be no faster, and take memory."""

_READ_AHEAD: Final = 32 * 2**20
"""Bytes that the batches of all who read may take in a process, as far as `_LEAST` lets them."""

_LEAST: Final = 256 * 2**10

_ENTRIES: Final = 2048
"""Entries that are taken in at once."""

_NAME: Final = re.compile(
    r"[0-9a-fA-F-]{36}/(parts/|borrowed/)?(?P<holder>[0-9a-f]{32})/[0-9a-f]{32}"
)
"""What data is called: the image's id, sometimes its kind, who brought it, and a random number."""

FULL: Final = (
    "Image storage media is full: There is not enough disk space on the image storage media."
)
"""What users are told of a full store, in Glance's words."""

_THREADS: Final = 64
"""Uploads and downloads that move at the same moment; others take turns."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What data is held against: its size in bytes, and its hash by an algorithm."""

    size: int
    algorithm: str
    hash: str


class Contents:
    """The data of a region's images; hashes by all of `algorithms` are computed of what comes.

    With `by_project`, images share data with those of the same owner alone. Some may borrow from
    `peers`.
    """

    def __init__(
        self,
        store: Store,
        algorithm: str,
        holder: str,
        hot: HotFiles,
        peers: Mapping[str, Peer],
        *,
        by_project: bool,
    ) -> None:
        self._holder = holder
        self._store = store
        self._hot = hot
        self._algorithm = algorithm
        self._by_project = by_project
        self.algorithms = frozenset({"md5", algorithm})
        self._readers = 0
        self.borrowed: Final = BorrowedImages(store, peers, self.in_thread)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="data")

    @asynccontextmanager
    async def receiving(
        self, image: Image, known: Known | None = None
    ) -> AsyncIterator["Incoming"]:
        """Begin to take in an image's data; what is not finished is given up.

        So it is where whoever brings it is cancelled at any moment, also in the midst of `finish`.
        What turns out to be what is `known` is not hashed.
        """
        hashes = () if known else tuple(self.algorithms)
        writing = self._store.writing(hashes=hashes, scope=self._scope(image))
        name = f"{image.id}/{self._holder}/{uuid4().hex}"
        incoming = Incoming(self, writing, name, known)
        try:
            await incoming.begun()
            yield incoming
        finally:
            if not incoming.is_finished:
                await asyncio.shield(incoming.give_up())

    async def keep(self, image: Image, pieces: Sequence[Buffer], name: str) -> Content:
        """Store data that is cut already, for an image, under a name; no hash is made of it."""

        def keep() -> Content:
            with self._store.writing(hashes=(), scope=self._scope(image)) as writer:
                writer.write_pieces(pieces)
                return Content(name, writer.finish(name).head.size, Hashes())

        with _worded():
            return await self.to_its_end(keep)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Writer]:
        """Begin to store data of which no hash is made; what is not finished is given up."""
        with _worded():
            writing = self._store.writing(hashes=())
            opening = self.begin(writing.__enter__)
            try:
                yield await asyncio.shield(opening)
            finally:
                await _ended(opening)
                if opening.exception() is None:
                    leave = partial(writing.__exit__, None, None, None)
                    await asyncio.shield(self.in_thread(leave))

    def fetch(self, blobs: Sequence[BlobId]) -> Mapping[BlobId, Buffer]:
        """Give what the store has under some names, verified; it blocks."""
        return self._store.fetcher.fetch_all(blobs)

    def hashes_of(self, computed: Mapping[str, str]) -> Hashes:
        """Give as an image has them the hashes that were computed of data, if they were."""
        value = computed.get(self._algorithm)
        return Hashes(computed.get("md5"), self._algorithm, value) if value else Hashes()

    async def read(
        self, content: str, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[Buffer]:
        """Give a range of data, verified, in pieces of about a MiB; close it when done.

        The next batch is fetched while one is taken; all who read share the memory for both.
        """
        with self.reading():
            if is_borrowed(content):
                borrowed = self.borrowed.read(content, offset, length, self.share)
                async with aclosing(borrowed) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            batches = await self.in_thread(lambda: self._batches(content, offset, length))
            coming = self.begin(lambda: _gather(batches))
            try:
                while batch := await asyncio.shield(coming):
                    coming = self.begin(lambda: _gather(batches))
                    for piece in batch:
                        yield piece
            finally:
                await _ended(coming)  # it cannot be closed while it works
                await asyncio.shield(self.in_thread(batches.close))

    def _batches(self, content: str, offset: int, length: int | None) -> Generator[list[Buffer]]:
        head = self._store.head(content)
        reader = self._store.reader(head)
        return reader.batches(offset, head.size if length is None else length, self.share)

    def _scope(self, image: Image) -> str | None:
        return (image.owner or "") if self._by_project else None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count one more who reads for a while."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    def share(self) -> int:
        """Give the bytes that a batch may have now."""
        return max(_LEAST, min(BATCH, _READ_AHEAD // (2 * max(1, self._readers))))

    async def facts(self, content: str) -> Facts | None:
        """Tell the size and the strongest hash of data; None where it was let go."""
        head = await self.in_thread(lambda: self._store.find(content))
        if head is None:
            return None
        if is_borrowed(content):
            told = await self.in_thread(lambda: self.borrowed.description(content))
            return Facts(told.size, *told.hash)
        algorithm = max(head.hashes, key=lambda name: name != "md5")
        return Facts(head.size, algorithm, head.hashes[algorithm])

    async def let_go(self, content: str) -> None:
        """Forget data that no image has; the collector frees what nothing else needs."""

        def remove() -> None:
            self._hot.discard(content)
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
        """Raise StoreError where the store is away."""
        await self.in_thread(self._store.check)

    async def close(self) -> None:
        """Let go of the store."""
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._store.close)

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        """Do something that blocks."""
        return await self.begin(work)

    async def to_its_end(self, work: Callable[[], _T]) -> _T:
        """Do something that blocks; whatever becomes of it, nothing is at work when this ends."""
        working = self.begin(work)
        try:
            return await asyncio.shield(working)
        finally:
            await _ended(working)

    def begin(self, work: Callable[[], _T]) -> asyncio.Future[_T]:
        """Begin something that blocks."""

        def do() -> _T:
            try:
                return work()
            except (AuthenticationError, UnreachableError, UsageError) as error:
                # Whoever asks for an image has nothing to do with how the store is reached.
                raise StoreError(str(error)) from error

        return asyncio.get_running_loop().run_in_executor(self._threads, do)


def name_of_part(image: Image, holder: str) -> str:
    """Give a name that nothing else has to a part which a holder brings for an image."""
    return f"{image.id}/parts/{holder}/{uuid4().hex}"


def name_of_borrowed(image: str, holder: str) -> str:
    """Give a name that nothing else has to the data of an image of which a part is elsewhere."""
    return f"{image}{BORROWED}{holder}/{uuid4().hex}"


class Incoming:
    """One image's data on its way in; threads do one thing after another for it."""

    def __init__(
        self,
        contents: Contents,
        writing: AbstractContextManager[Writer],
        name: str,
        known: Known | None,
    ) -> None:
        self._contents = contents
        self._writing = writing
        self._name = name
        self._known = known
        self._opening = contents.begin(writing.__enter__)
        self._at_work: asyncio.Future[Any] = self._opening
        self._gathered: list[bytes] = []
        self._size = 0
        self._put: Put | None = None
        self.is_finished = False

    async def begun(self) -> None:
        """Wait until data can be taken in."""
        await asyncio.shield(self._opening)

    async def write(self, data: bytes) -> None:
        """Take in more data, in order, one call after another; it is stored while more comes.

        What went wrong with it is told by a later call, or by `finish`.
        """
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= _ENOUGH:
            await self._pass_on()

    async def refer(self, entries: Iterator[Entry]) -> None:
        """Take in data that the store has, told by its entries, in order, one call after another.

        They are asked for in threads.
        """
        writer, fetch = self._opening.result(), self._contents.fetch

        def refer() -> int:
            group = list(islice(entries, _ENTRIES))
            writer.refer(group, fetch)
            return len(group)

        count = _ENTRIES
        while count == _ENTRIES:
            self._at_work = self._contents.begin(refer)
            with _worded():
                count = await asyncio.shield(self._at_work)

    async def finish(self) -> Content:
        """Publish what came, under a name that nothing else has.

        It has no hashes where it is other data than what was known beforehand.
        """
        await self._pass_on()
        await self._rested()
        self._at_work = self._contents.begin(self._publish)
        with _worded():
            head = (await asyncio.shield(self._at_work)).head
        # From here to whoever called nothing is waited for, so that nobody can be cancelled.
        self.is_finished = True
        return Content(self._name, head.size, self._contents.hashes_of(head.hashes))

    async def give_up(self) -> None:
        """Leave nothing of it; what a thread is at is waited for."""
        await _ended(self._at_work)
        if self._opening.exception() is not None:
            return
        try:
            await self._contents.in_thread(self._leave)
        finally:
            if self._put is not None:
                await self._contents.let_go(self._name)

    def _publish(self) -> Put:
        self._put = self._opening.result().finish(self._name, self._known)
        self._leave()
        return self._put

    def _leave(self) -> None:
        self._writing.__exit__(None, None, None)

    async def _pass_on(self) -> None:
        gathered, self._gathered, self._size = self._gathered, [], 0
        await self._rested()
        writer = self._opening.result()
        self._at_work = self._contents.begin(lambda: writer.write(*gathered))

    async def _rested(self) -> None:
        with _worded():
            await asyncio.shield(self._at_work)


@contextmanager
def _worded() -> Iterator[None]:
    """Tell users of a full store in Glance's words; which disk it is, is for the log."""
    try:
        yield
    except QuotaError as error:
        raise UnavailableError(str(error), told=FULL) from error


async def _ended(work: asyncio.Future[Any]) -> None:
    """Wait for what a thread is at, which goes on even where its task is cancelled."""
    await asyncio.shield(asyncio.gather(work, return_exceptions=True))


def _gather(batches: Iterator[list[Buffer]]) -> list[Buffer]:
    """Give the next batch, with small pieces joined; nothing at the end."""
    joined: list[Buffer] = []
    small: list[Buffer] = []
    size = 0
    for piece in next(batches, ()):
        small.append(piece)
        size += len(piece)
        if size >= PIECE:
            joined.append(small[0] if len(small) == 1 else b"".join(small))
            small, size = [], 0
    if small:
        joined.append(b"".join(small))
    return joined
