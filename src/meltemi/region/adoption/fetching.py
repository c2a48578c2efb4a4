"""Images on their way here from the Glance: whoever wants one reads along while it comes.

What comes is written to a file without a name, from which any number of readers take it at their
own speed, and into the store. The last byte of what a reader wants is given only once all of the
image has the hash on record: what is altered never ends well, and never becomes the region's own.
"""

import asyncio
import hashlib
import logging
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from meltemi.catalogue.adopting_base import Ledger
from meltemi.chunks.blob import Buffer
from meltemi.errors import (
    ConflictError,
    CorruptionError,
    InterruptedTransfer,
    MeltemiError,
    QuotaError,
    UnavailableError,
)
from meltemi.model.image import Hashes
from meltemi.model.record import UNINSPECTED, Content, Record
from meltemi.region.adoption.origin import Origin
from meltemi.region.data.contents import BATCH, Contents, Incoming

FULL: Final = "There is no room at the moment for data that is not here yet."
"""What users are told."""

_PIECE: Final = 2**20
_PAUSE_SECONDS: Final = 1.0
"""Between a connection that broke and the next one that goes on where it ended."""

_ALGORITHMS: Final = frozenset(
    name for name in hashlib.algorithms_guaranteed if not name.startswith("shake_")
)
_log: Final = logging.getLogger(__name__)


_AT_ONCE: Final = 16
"""Images that come to one process at the same time, however many are asked for; others wait."""


class Fetches:
    """The images that are on their way to one process; of each there is one stream at most.

    One process of a region stores what comes, the one that holds the image; others, whose readers
    want it at the same time, only hand it on. `folder` has room for what is on its way.
    """

    def __init__(
        self, origin: Origin, ledger: Ledger, contents: Contents, holder: str, folder: Path
    ) -> None:
        self._origin = origin
        self._ledger = ledger
        self._contents = contents
        self._holder = holder
        self._folder = folder
        self._under_way: dict[str, tuple[Fetch, asyncio.Task[None]]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting: set[Fetch] = set()
        self._given_up: set[asyncio.Task[None]] = set()
        self._is_closing = False

    @contextmanager
    def joined(self, record: Record) -> Iterator["Fetch"]:
        """Read along with whoever fetches what an image has, or begin to.

        It goes on afterwards, unless others wait for their turn.
        """
        fetch, _ = self._join(record, claimed=False)
        try:
            with fetch.wanted():
                yield fetch
        finally:
            self._make_room()

    async def fetch(self, record: Record) -> bool:
        """Bring the data of an image that is held already; say whether it came."""
        fetch, task = self._join(record, claimed=True)
        with fetch.wanted():
            await asyncio.wait([task])
        if not fetch.stores:  # it was begun while somebody else held the image
            await self._ledger.release(record.image.id, self._holder, None)
        return not fetch.has_failed

    def _join(self, record: Record, *, claimed: bool) -> "tuple[Fetch, asyncio.Task[None]]":
        content = record.content or ""
        if content not in self._under_way:
            fetch = Fetch(record, self._contents, self._folder)
            task = asyncio.create_task(self._bring(fetch, claimed=claimed))
            self._under_way[content] = fetch, task
        return self._under_way[content]

    async def close(self) -> None:
        """Stop in the middle of everything."""
        self._is_closing = True
        tasks = [*(task for _, task in self._under_way.values()), *self._given_up]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _make_room(self) -> None:
        """Give up what nobody wants any more, as far as others wait for their turn."""
        waiting = sum(fetch.is_wanted for fetch in self._waiting)
        lacking = waiting - len(self._given_up) if self._turns.locked() else 0
        for content, (fetch, task) in list(self._under_way.items()):
            has_begun = fetch not in self._waiting
            if fetch.is_wanted or fetch.is_verified or (has_begun and lacking <= 0):
                continue
            lacking -= has_begun
            del self._under_way[content]
            task.cancel()
            self._given_up.add(task)
            task.add_done_callback(self._given_up.discard)

    @asynccontextmanager
    async def _turn(self, fetch: "Fetch") -> AsyncIterator[None]:
        self._waiting.add(fetch)
        self._make_room()
        try:
            await self._turns.acquire()
        finally:
            self._waiting.discard(fetch)
        try:
            yield
        finally:
            self._turns.release()

    async def _bring(self, fetch: "Fetch", *, claimed: bool) -> None:
        content = fetch.record.content or ""
        with fetch.kept():
            try:
                async with self._turn(fetch):
                    await self._try(fetch, claimed=claimed)
            finally:
                if self._under_way.get(content, (None,))[0] is fetch:
                    del self._under_way[content]

    async def _try(self, fetch: "Fetch", *, claimed: bool) -> None:
        image = fetch.record.image.id
        claiming = asyncio.ensure_future(self._claim(image, claimed=claimed))
        try:
            # To its end: else nobody knew whether the image is held.
            fetch.stores = await asyncio.shield(claiming)
            content = await fetch.receive(self._origin)
            if content is not None:
                await self._keep(fetch.record, content)
        except asyncio.CancelledError:
            fetch.fail(InterruptedTransfer(f"image {image}: fetching it was given up"))
            # Who is told to stop is buried, and holds nothing any more.
            if not self._is_closing:
                await self._release(image, claiming, None, failed=False)
            raise
        except (MeltemiError, OSError) as error:
            _log.warning("image %s: it is not brought here yet: %s", image, error)
            fetch.fail(error)
            failed = not isinstance(error, UnavailableError)
            await self._release(image, claiming, str(error), failed=failed)
        except Exception as error:  # noqa: BLE001 - whatever a defect is, nobody waits for ever
            _log.exception("image %s: a defect in fetching it", image)
            fetch.fail(error)
            await self._release(image, claiming, str(error), failed=True)

    async def _claim(self, image: str, *, claimed: bool) -> bool:
        return claimed or await self._ledger.claim(image, self._holder)

    async def _release(
        self, image: str, claiming: asyncio.Future[bool], problem: str | None, *, failed: bool
    ) -> None:
        """Hold an image no longer, as soon as the catalogue takes it; who lives is not buried."""
        await asyncio.wait([claiming])
        claimed = claiming.exception() is not None or claiming.result()
        while claimed:
            try:
                await self._ledger.release(image, self._holder, problem, failed=failed)
            except MeltemiError as again:
                _log.warning("image %s: it is not given back yet: %s", image, again)
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    async def _keep(self, record: Record, content: Content) -> None:
        try:
            await self._ledger.fill(record, content, self._holder)
        except ConflictError as error:
            # Of other errors it is not known whether the image has it by now.
            _log.info("%s", error)
            await self._contents.let_go(content.id)


class Fetch:
    """One image on its way; `stores` says whether it is stored, too.

    Once it `is_verified`, all of it is here.
    """

    def __init__(self, record: Record, contents: Contents, folder: Path) -> None:
        self.record = record
        self.stores = False
        self._size = record.image.size or 0
        self._contents = contents
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._users = 0
        self._wanted = 0
        self._arrived = 0
        self.is_verified = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    async def begun(self, first: int) -> None:
        """Wait until a byte is there, or raise what keeps it from coming."""
        while self._arrived <= first and not self.is_verified:
            await self._next()

    async def read(self, first: int, end: int) -> AsyncGenerator[Buffer]:
        """Give a range as it comes, its last byte once everything is verified; close it when done.

        Raise what went wrong, as CorruptionError where the data is not what it should be.
        """
        while first < end:
            ready = min(end if self.is_verified else end - 1, self._arrived)
            if ready <= first:
                await self._next()
                continue
            piece = await self._piece(first, min(ready - first, _PIECE))
            first += len(piece)
            yield piece

    async def receive(self, origin: Origin) -> Content | None:
        """Take in all data from the Glance, verify it, and store it if that is meant."""
        recorded = self.record.image.hashes
        digest = _begin(recorded)
        if self.stores and digest is not None and digest.name in self._contents.algorithms:
            digest = None  # it is computed anyway of what is stored
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - kept
        async with AsyncExitStack() as stack:
            incoming: Incoming | None = None
            if self.stores:
                receiving = self._contents.receiving(self.record.image)
                incoming = await stack.enter_async_context(receiving)
            async with aclosing(_batches(self._pieces(origin))) as batches:
                async for batch in batches:
                    writing = self._contents.begin(partial(self._write, batch, digest))
                    try:
                        if incoming is not None:
                            await incoming.write(batch)
                    finally:
                        await asyncio.shield(writing)
                    self._arrived += len(batch)
                    self._tell()
            content = None
            if incoming is not None:
                content = replace(await incoming.finish(), binding=UNINSPECTED)
        try:
            self._verify(recorded, digest, content)
        except CorruptionError:
            if content is not None:
                await self._contents.let_go(content.id)
            raise
        self.is_verified = True
        self._tell()
        return content

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what has come for as long as somebody may want it."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users and self._file is not None:
                self._file.close()
                self._file = None

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Say that somebody wants it, and keep what has come for as long."""
        self._wanted += 1
        try:
            with self.kept():
                yield
        finally:
            self._wanted -= 1

    @property
    def is_wanted(self) -> bool:
        """Say whether somebody wants it."""
        return self._wanted > 0

    @property
    def has_failed(self) -> bool:
        """Say whether it came to a bad end."""
        return self._error is not None

    def fail(self, error: Exception) -> None:
        """Tell all who read that nothing more will come."""
        if isinstance(error, OSError | QuotaError):
            error = UnavailableError(str(error), told=FULL)
        self._error = error
        self._tell()

    async def _pieces(self, origin: Origin) -> AsyncGenerator[bytes]:
        """Give exactly the image's data, over several connections where they break."""
        received = 0
        label = f"image {self.record.image.id}"
        while received < self._size:
            before = received
            try:
                async with aclosing(origin.read(self.record.image.id, received)) as pieces:
                    async for piece in pieces:
                        received += len(piece)
                        if received > self._size:
                            raise CorruptionError(f"{label}: the Glance has more than its size")
                        yield piece
            except (InterruptedTransfer, UnavailableError):
                if received == before:
                    raise
            if received == before:
                raise InterruptedTransfer(
                    f"{label}: the Glance gives {received} of {self._size} bytes"
                )
            if received < self._size:
                await asyncio.sleep(_PAUSE_SECONDS)

    def _write(self, batch: bytes, digest: Any) -> None:
        if self._file is not None:
            rest = memoryview(batch)
            while rest:
                rest = rest[self._file.write(rest) :]
        if digest is not None:
            digest.update(batch)

    def _verify(self, recorded: Hashes, digest: Any, content: Content | None) -> None:
        found = content.hashes if content is not None else Hashes()
        if digest is not None:
            value = digest.hexdigest()
            is_md5 = digest.name == "md5"
            found = Hashes(value) if is_md5 else Hashes(None, digest.name, value)
        if recorded.agree(found) is False:
            raise CorruptionError(
                f"image {self.record.image.id}: the data that the Glance gives has not the hash "
                "that it recorded: mend or delete it there"
            )

    async def _piece(self, first: int, size: int) -> bytes:
        file = self._file
        if file is None:
            raise AssertionError("who reads keeps the file")
        reading = self._contents.begin(lambda: os.pread(file.fileno(), size, first))
        try:
            return await asyncio.shield(reading)
        finally:
            await asyncio.shield(asyncio.gather(reading, return_exceptions=True))

    async def _next(self) -> None:
        if self._error is not None:
            raise self._error
        await self._changed.wait()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _begin(hashes: Hashes) -> Any:
    """Begin the hash that is on record: the multihash, else the md5, else none."""
    if hashes.value and hashes.algorithm in _ALGORITHMS:
        return hashlib.new(str(hashes.algorithm))
    return hashlib.md5(usedforsecurity=False) if hashes.checksum else None


async def _batches(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Join pieces, so that not each of them costs a thread's time."""
    gathered: list[bytes] = []
    size = 0
    async with aclosing(pieces):
        async for piece in pieces:
            gathered.append(piece)
            size += len(piece)
            if size >= BATCH:
                yield b"".join(gathered)
                gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)
