"""Hot images: those that are read often are kept as plain files, which the kernel sends by itself.

An image is hot when it was read whole twice within an hour, on this host, or when an operator says
so. Its copy is made in the background, from verified chunks, and held against its hash; the copies
are held against their hashes again every hour. Nothing depends on them: where there is none, data
comes from chunks.
"""

import asyncio
import hashlib
import logging
from contextlib import aclosing
from functools import partial
from typing import IO, Final

from meltemi.chunks.blob import Buffer
from meltemi.errors import MeltemiError
from meltemi.region.data.contents import BATCH, Contents, Facts
from meltemi.region.data.hot_files import Copy, HotFiles

WITHIN_SECONDS: Final = 3600.0
"""Two readings that lie no further apart make an image hot."""

CHECK_SECONDS: Final = 3600.0
LOOK_SECONDS: Final = 60.0
"""How often each process asks whether the copies are to be checked."""

_log: Final = logging.getLogger(__name__)


class HotImages:
    """Decides what is hot, and sees that it is there."""

    def __init__(self, files: HotFiles, contents: Contents) -> None:
        self._files = files
        self._contents = contents
        self._turn = asyncio.Lock()
        self._filling: dict[str, asyncio.Task[None]] = {}

    def open(self, content: str, size: int) -> IO[bytes] | None:
        """Open the copy of an image's data, where there is one; this takes no time to speak of."""
        try:
            if (file := self._files.open(content, size)) is not None:
                self._files.note_use(content, file)
        except OSError as error:
            _log.warning("hot image %s: %s", content, error)
            return None
        return file

    def was_read(self, content: str) -> None:
        """Take notice that data was read whole, from chunks; begin to copy it if it is hot now."""
        try:
            since = self._files.note_read(content)
            if since is not None and since <= WITHIN_SECONDS and self._files.queue(content):
                self._begin(content)
        except OSError as error:
            _log.warning("hot image %s: %s", content, error)

    async def want(self, content: str) -> None:
        """Have a copy made, soon; where this process cannot, another one does it later."""
        if await self._contents.in_thread(lambda: self._files.queue(content)):
            self._begin(content)

    async def copies(self) -> list[Copy]:
        """Tell of every copy on this host."""
        return await self._contents.in_thread(self._files.copies)

    async def wanted(self) -> list[str]:
        """Name the contents of which copies are yet to be made, in their order."""
        return await self._contents.in_thread(self._files.queued)

    async def discard(self, content: str) -> None:
        """Throw a copy out, also one that is being made or wanted."""
        await self._contents.in_thread(lambda: self._files.discard(content))

    async def discard_copies(self) -> int:
        """Throw all copies out that there are, and say how many there were."""

        def drop() -> int:
            return sum(map(self._files.drop, self._files.names()))

        return await self._contents.in_thread(drop)

    async def forget_wanted(self) -> int:
        """Want no copies any more but those that are being made; say how many were wanted."""

        def unqueue() -> int:
            return sum(map(self._files.unqueue, self._files.queued()))

        return await self._contents.in_thread(unqueue)

    async def sweep(self) -> None:
        """Remove what is left over, and what there is no room for."""
        await self._contents.in_thread(lambda: self._files.sweep(WITHIN_SECONDS))

    async def prune(self) -> list[int]:
        """Throw out copies that there is no room for; give the bytes of each."""
        return await self._contents.in_thread(self._files.prune)

    def is_damaged(self, content: str) -> None:
        """Throw out a copy that could not be read to its end; the data is in chunks as well."""
        _log.error("hot image %s: its copy cannot be read; thrown out", content)
        self._files.drop(content)

    async def run(self) -> None:
        """Check the copies and make those that are wanted, again and again, until cancelled."""
        while True:
            try:
                await self.check()
                for content in await self.wanted():
                    self._begin(content)
            except (MeltemiError, OSError) as error:
                _log.warning("checking hot images: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def check(self) -> None:
        """Tidy up; where it is time, hold every copy against its hash."""
        await self.sweep()
        with self._files.turn(CHECK_SECONDS) as due:
            for content in self._files.names() if due else ():
                facts = await self._contents.facts(content)
                if facts is None or not await self._is_whole(content, facts):
                    self._files.drop(content)

    async def close(self) -> None:
        """Give up what is being copied."""
        tasks = list(self._filling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, content: str) -> None:
        if content not in self._filling:
            task = asyncio.create_task(self._fill(content))
            self._filling[content] = task
            task.add_done_callback(lambda _: self._filling.pop(content))

    async def _fill(self, content: str) -> None:
        async with self._turn:  # one at a time: who reads now comes first
            try:
                await self._copy(content)
            except (MeltemiError, OSError) as error:
                _log.warning("hot image %s: %s", content, error)

    async def _copy(self, content: str) -> None:
        if not self._files.is_queued(content):  # not wanted any more
            return
        facts = await self._contents.facts(content)
        if facts is None:
            self._files.unqueue(content)
            return
        with self._files.draft(content, facts.size) as draft:
            if draft is None:
                return
            hashed = hashlib.new(facts.algorithm, usedforsecurity=False)

            def take(piece: Buffer) -> None:
                hashed.update(piece)
                draft.write(piece)

            async with aclosing(self._contents.read(content)) as pieces:
                async for piece in pieces:
                    await self._contents.in_thread(partial(take, piece))
            if (draft.tell(), hashed.hexdigest()) != (facts.size, facts.hash):
                _log.error("hot image %s: what came from chunks does not have its hash", content)
                self._files.unqueue(content)
                return
            await self._contents.in_thread(lambda: self._files.publish(content, draft))
        if await self._contents.facts(content) is None:  # let go meanwhile
            self._files.discard(content)

    async def _is_whole(self, content: str, facts: Facts) -> bool:
        file = self._files.open(content, facts.size)
        if file is None:
            return True  # thrown out meanwhile
        hashed = hashlib.new(facts.algorithm, usedforsecurity=False)
        with file:
            try:
                while piece := await self._contents.in_thread(lambda: file.read(BATCH)):
                    await self._contents.in_thread(partial(hashed.update, piece))
            except OSError as error:
                _log.error("hot image %s: its copy cannot be read: %s", content, error)
                return False
        if hashed.hexdigest() != facts.hash:
            _log.error("hot image %s: its copy is damaged; thrown out", content)
            return False
        return True
