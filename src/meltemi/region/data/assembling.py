"""Putting data together as a delta says, of images that are there, of parts, and of zeros."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Final, NamedTuple

from meltemi.chunks.exchange.delta import (
    LONGEST_LINE,
    DeltaError,
    DeltaReader,
    Origin,
    Outline,
    Stretch,
    Stretches,
    joined,
)
from meltemi.chunks.manifest import Entry
from meltemi.chunks.reader import Reader
from meltemi.chunks.writer import PIECE
from meltemi.errors import RefusedError, VanishedError
from meltemi.region.data.pieces import Pieces, Wanted
from meltemi.region.service import Service

_LINES: Final = 2**14
"""Bytes of lines that are read at once, so that others get their turn."""

_SMALL: Final = 64 * 2**10
"""Bytes that a stretch counts for at least: however short it is, chunks are read for it."""

_OPEN: Final = 32
"""Parts that are kept open."""


class Base(NamedTuple):
    """Data that a delta names, opened, so that it can be read to its end also where it is deleted.

    `label` is what it is called.
    """

    label: str
    data: Reader

    @classmethod
    async def opened(cls, pieces: Pieces, label: str, content: str) -> "Base":
        """Open a content; VanishedError where it is gone."""
        try:
            return cls(label, await pieces.open(content))
        except VanishedError as error:
            raise VanishedError(f"{label} is gone") from error


class Delta:
    """A delta as it comes; RefusedError is raised where it is none."""

    def __init__(self, reader: DeltaReader, lines: AsyncGenerator[list[bytes]]) -> None:
        self._reader = reader
        self._lines = lines
        self._ready: list[Stretch] = []

    @classmethod
    async def begun(cls, data: AsyncIterator[bytes]) -> "Delta":
        """Read how a delta begins."""
        lines = _lines(data)
        with _refusing():
            first = await anext(lines, [b""])
            delta = cls(DeltaReader(first[0]), lines)
            delta._ready = delta._read(first[1:])
        return delta

    @property
    def outline(self) -> Outline:
        """Tell how long the data is, and of which images it is made."""
        return self._reader.outline

    async def whole(self) -> Stretch | None:
        """Give the only stretch of the data, where it is but one; all has come then."""
        if not self._ready:
            with _refusing():
                self._ready = self._read(await anext(self._lines, []))
        if not self._ready or self._ready[0].length != self.outline.size:
            return None
        with _refusing():
            async for lines in self._lines:
                self._read(lines)  # which is too much
        return self._ready[0]

    async def stretches(self) -> Stretches:
        """Give the stretches, as many at once as have come together."""
        if self._ready:
            yield self._ready
        with _refusing():
            async for lines in self._lines:
                yield self._read(lines)
            self._reader.finish()

    def _read(self, lines: Sequence[bytes]) -> list[Stretch]:
        return [self._reader.read(line) for line in lines]


class Assembly:
    """Reads the data that stretches tell of, for an image; the bases are those that they name.

    Parts are opened as they are named.
    """

    def __init__(
        self,
        service: Service,
        image: str,
        stretches: Stretches,
        bases: Sequence[Base],
    ) -> None:
        self._service = service
        self._image = image
        self._stretches = stretches
        self._bases = bases
        self._parts: Mapping[int, str] = {}
        self._open: OrderedDict[int, Base] = OrderedDict()

    def watch(self, watched: Callable[[Stretches], Stretches]) -> None:
        """Let stretches pass by somebody as they come, before anything is read."""
        self._stretches = watched(self._stretches)

    async def references(self) -> AsyncGenerator[Iterator[Entry]]:
        """Give what the data consists of, none of which is read; close it when done.

        Entries are to be taken in a thread, before more are asked for. Raise RefusedError as `data`
        does.
        """
        async with aclosing(self._wanted()) as wanted:
            async for stretches in wanted:
                yield self._service.pieces.entries(stretches)

    async def data(self) -> AsyncGenerator[bytes]:
        """Give the data in blocks of about a MiB; close it when done.

        The next group of stretches is read while one is taken. Raise RefusedError where a stretch
        is not within what it is to be taken from.
        """
        with self._service.contents.reading():
            async with aclosing(self._groups()) as groups:
                coming = asyncio.ensure_future(self._next(groups))
                try:
                    while blocks := await coming:
                        coming = asyncio.ensure_future(self._next(groups))
                        for block in blocks:
                            yield block
                finally:
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)

    async def _next(self, groups: AsyncGenerator[list[Wanted]]) -> list[bytes]:
        group: list[Wanted] = await anext(groups, [])
        return await self._service.pieces.read(group) if group else []

    async def _groups(self) -> AsyncGenerator[list[Wanted]]:
        """Gather what is read together: all that has come, as far as memory allows."""
        at = 0
        async with aclosing(self._wanted()) as all_stretches:
            async for stretches in all_stretches:
                group: list[Wanted] = []
                size = 0
                for stretch in stretches:
                    for wanted in _divided(stretch, at):
                        at += wanted.length
                        group.append(wanted)
                        size += max(wanted.length, _SMALL)
                        if size >= self._service.contents.share():
                            yield group
                            group, size = [], 0
                if group:
                    yield group

    async def _wanted(self) -> AsyncGenerator[list[Wanted]]:
        """Give the stretches as they come, and what each is to be taken from."""
        async with aclosing(self._stretches) as all_stretches:
            async for stretches in all_stretches:
                yield [
                    Wanted(await self._reader(one), one.offset, one.length)
                    for one in joined(stretches)
                ]

    async def _reader(self, stretch: Stretch) -> Reader | None:
        """Give what a stretch is taken from, opened."""
        if stretch.origin is None:
            return None
        is_base = stretch.origin is Origin.IMAGE
        base = self._bases[stretch.number] if is_base else await self._part(stretch.number)
        if stretch.offset + stretch.length > base.data.size:
            raise RefusedError(
                f"Image {self._image}: its delta takes {stretch.length} bytes at {stretch.offset} "
                f"of {base.label}, which has {base.data.size}"
            )
        return base.data

    async def _part(self, number: int) -> Base:
        if number not in self._open:
            if number not in self._parts:
                found = await self._service.catalogue.parts(self._image)
                self._parts = {part.number: part.content for part in found}
            if number not in self._parts:
                raise RefusedError(
                    f"Image {self._image}: its delta names part {number}, it has none"
                )
            label = f"part {number} of image {self._image}"
            pieces = self._service.pieces
            self._open[number] = await Base.opened(pieces, label, self._parts[number])
        self._open.move_to_end(number)
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)
        return self._open[number]


def _divided(stretch: Wanted, at: int) -> Iterator[Wanted]:
    """Divide a stretch, which begins at `at`, at every MiB of the data that is put together.

    So blocks begin where runs of zeros may, and these are looked for without a copy.
    """
    begin = 0
    while begin < stretch.length:
        length = min(PIECE - (at + begin) % PIECE, stretch.length - begin)
        yield Wanted(stretch.data, stretch.offset + begin, length)
        begin += length


async def _lines(data: AsyncIterator[bytes]) -> AsyncGenerator[list[bytes]]:
    """Give lines, with their ends, as many at once as have come together."""
    rest = b""
    async for piece in data:
        for begin in range(0, len(piece), _LINES):
            *lines, rest = (rest + piece[begin : begin + _LINES]).split(b"\n")
            if lines:
                yield [line + b"\n" for line in lines]
            if len(rest) >= LONGEST_LINE:
                raise DeltaError("a line that is too long")
    if rest:
        raise DeltaError("a line that does not end")


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except DeltaError as error:
        raise RefusedError(f"This is no delta: {error}") from error
