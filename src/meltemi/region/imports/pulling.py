"""Pulling an image from another region by pieces: only what is not here crosses the wire."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import IO, Final

import stamina

from meltemi.chunks.blob import Buffer, has_name
from meltemi.chunks.exchange import difference as comparing
from meltemi.chunks.exchange.batch import LARGEST_FRAME, BatchError, decode_batch
from meltemi.chunks.exchange.bringing import Bringing
from meltemi.chunks.exchange.delta import MOST_PARTS, Origin, Stretches
from meltemi.chunks.exchange.difference import Piece, Place, difference
from meltemi.chunks.exchange.gathering import spans
from meltemi.chunks.exchange.remote import Holder, RemoteTree
from meltemi.chunks.exchange.terms import Terms, own_terms
from meltemi.chunks.manifest import Segment, decode_segment
from meltemi.chunks.reader import Reader
from meltemi.errors import (
    ConflictError,
    ImageError,
    InterruptedTransfer,
    RefusedError,
    VanishedError,
)
from meltemi.model.image import Image
from meltemi.model.record import Content, Record
from meltemi.region.data.assembling import Assembly, Base
from meltemi.region.data.parts import keep_part
from meltemi.region.data.pieces import Pieces
from meltemi.region.data.vouching import put_together
from meltemi.region.imports.neighbour import Neighbour
from meltemi.region.service import Service
from meltemi.region.settings import Settings

_ATTEMPTS: Final = 6
"""How often a single piece is asked for before it counts that none comes."""

_log: Final = logging.getLogger(__name__)


def terms_of(settings: Settings) -> Terms:
    """Say how a region exchanges."""
    return own_terms(dedup_scope=settings.dedup_scope, algorithm=settings.hashing_algorithm)


class Puller:
    """Pulls the data of one image; `project` is that of who wants it, whose quota counts.

    `bases` finds what is here and may be read by who wants it: asked when the import runs, which
    may be long after it was asked for. What comes is kept as parts of the image, and is not
    fetched again by the next import.
    """

    def __init__(
        self,
        service: Service,
        image: Image,
        project: str | None,
        bases: Callable[[], Awaitable[Sequence[Record]]],
    ) -> None:
        self._service = service
        self._image = image
        self._project = project
        self._bases = bases

    @asynccontextmanager
    async def pull(self, neighbour: Neighbour) -> AsyncIterator["_Pulled | None"]:
        """Bring the image by pieces; give None where the other side does not exchange it."""
        theirs, ours = await neighbour.terms(), terms_of(self._service.settings)
        source: RemoteTree | None = None
        if theirs is not None and ours.mismatch(theirs) is None:
            try:
                source = await RemoteTree.open(neighbour, Holder(neighbour.image))
            except RefusedError as error:  # as where its data is at the Glance that is adopted
                _log.info("image %s comes as a whole: %s", self._image.id, error)
        if theirs is None or source is None:
            yield None
            return
        async with self._assembly(neighbour, source, ours.within(theirs)) as assembly:
            yield _Pulled(self._service, assembly, source.binding)

    @asynccontextmanager
    async def _assembly(
        self, neighbour: Neighbour, source: RemoteTree, terms: Terms
    ) -> AsyncIterator[Assembly]:
        pieces, image = self._service.pieces, self._image
        compared: list[comparing.Base] = []
        parts = await self._service.catalogue.parts(image.id)
        for part in parts:
            tree = LocalTree(pieces, await pieces.open(part.content))
            compared.append(comparing.Base(tree, Origin.PART, part.number))
        numbers = count(max((part.number for part in parts), default=-1) + 1)
        bases: list[Base] = []
        for record in await self._bases():
            content = record.content or ""
            try:
                # Two of them, since one goes ahead of the other.
                tree = LocalTree(pieces, await pieces.open(content))
                base = await Base.opened(pieces, f"image {record.image.id}", content)
            except VanishedError as error:  # deleted in this very moment
                _log.info("image %s: no base: %s", image.id, error)
                continue
            compared.append(comparing.Base(tree, Origin.IMAGE, len(bases)))
            bases.append(base)
        bringing = Bringing(
            difference(source, compared),
            terms.largest_batch,
            terms.most_pieces,
            lambda wanted: self._bring(neighbour, numbers, wanted),
        )
        async with bringing.under_way() as stretches:
            yield Assembly(self._service, image.id, stretches, bases)

    async def _bring(
        self, neighbour: Neighbour, numbers: Iterator[int], wanted: Sequence[Piece]
    ) -> int:
        """Fetch pieces, and keep them as a part, of which the number is given."""

        def again(error: Exception) -> bool:
            return isinstance(error, InterruptedTransfer) and len(wanted) == 1

        async for attempt in stamina.retry_context(on=again, attempts=_ATTEMPTS, timeout=None):
            with attempt:
                async with neighbour.batch(spans(wanted)) as coming:
                    frame = await self._service.pieces.spool(coming, LARGEST_FRAME)
                with frame:
                    return await self._kept(numbers, partial(_unpacked, frame, wanted, self._image))
        raise AssertionError("a retry context ends with a result or an error")

    async def _kept(self, numbers: Iterator[int], unpack: Callable[[], Sequence[Buffer]]) -> int:
        """Keep what a batch has under a number that is free, even where somebody else brings it."""
        service, image = self._service, self._image
        while (number := next(numbers)) < MOST_PARTS:
            try:
                await keep_part(service, image, number, unpack, self._project)
            except ConflictError:
                kept = await service.catalogue.parts(image.id)
                if number not in {part.number for part in kept}:
                    raise
            else:
                return number
        raise ImageError(f"image {image.id}: it would have more than {MOST_PARTS} parts")


class _Pulled:
    """See `source.Pulled`."""

    def __init__(self, service: Service, assembly: Assembly, binding: str | None) -> None:
        self._service = service
        self._assembly = assembly
        self._binding = binding

    def data(self) -> AsyncGenerator[bytes]:
        return self._assembly.data()

    async def vouched(
        self, image: Image, size: int, watched: Callable[[Stretches], Stretches]
    ) -> Content | None:
        found = self._service.bindings.believed(self._binding, image, size)
        if found is None:
            return None
        self._assembly.watch(watched)
        return await put_together(self._service, image, self._assembly, size, found)


class LocalTree:
    """A manifest that is in the region's own store."""

    def __init__(self, pieces: Pieces, data: Reader) -> None:
        self._pieces = pieces
        self._data = data
        self.root = data.root

    async def segments(self, places: Sequence[Place]) -> Sequence[Segment]:
        """Read segments."""
        found = await self._pieces.segments(self._data, places)
        return [decode_segment(bytes(segment)) for segment in found]


def _unpacked(frame: IO[bytes], pieces: Sequence[Piece], image: Image) -> Sequence[Buffer]:
    """Unpack a batch, and hold each piece against the name that the manifest has for it.

    What is but a part of a chunk has no name of its own: the hash of the whole tells.
    """
    frame.seek(0)
    try:
        came = decode_batch(frame.read())
    except BatchError as error:
        raise InterruptedTransfer(f"image {image.id}: pieces of it: {error}") from error
    if [len(data) for data in came] != [piece.entry.length for piece in pieces]:
        raise InterruptedTransfer(f"image {image.id}: other pieces came than were asked for")
    for data, piece in zip(came, pieces, strict=True):
        chunk, offset = piece.entry.chunk, piece.entry.offset
        if chunk is not None and not offset and not has_name(data, chunk):
            raise InterruptedTransfer(f"image {image.id}: a piece was altered on its way")
    return came
