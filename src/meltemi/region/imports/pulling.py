"""Pulling an image from another region by pieces: only what is not here crosses the wire."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import count
from typing import IO, Final, Self

from meltemi.chunks.blob import Buffer, has_name
from meltemi.chunks.exchange import difference as comparing
from meltemi.chunks.exchange.batch import LARGEST_FRAME, BatchError, decode_batch
from meltemi.chunks.exchange.bringing import Bringing
from meltemi.chunks.exchange.delta import MOST_PARTS, Origin
from meltemi.chunks.exchange.difference import Piece, Place, difference
from meltemi.chunks.exchange.gathering import spans
from meltemi.chunks.exchange.remote import Holder, RemoteTree
from meltemi.chunks.exchange.terms import Terms, own_terms
from meltemi.chunks.manifest import Root, Segment, decode_root, decode_segment
from meltemi.errors import ConflictError, ImageError, InterruptedTransfer, RefusedError
from meltemi.model.image import Image
from meltemi.region.data.assembling import Assembly, Base
from meltemi.region.data.parts import keep_part
from meltemi.region.data.pieces import Pieces
from meltemi.region.imports.neighbour import Neighbour
from meltemi.region.service import Service
from meltemi.region.settings import Settings

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
        bases: Callable[[], Awaitable[Sequence[Base]]],
    ) -> None:
        self._service = service
        self._image = image
        self._project = project
        self._bases = bases

    async def pull(self, neighbour: Neighbour) -> AsyncGenerator[bytes] | None:
        """Give the data as it is put together; None where the other side does not exchange it."""
        theirs, ours = await neighbour.terms(), terms_of(self._service.settings)
        if theirs is None or ours.mismatch(theirs) is not None:
            return None
        try:
            source = await RemoteTree.open(neighbour, Holder(neighbour.image))
        except RefusedError as error:  # as where its data is still at the Glance that is adopted
            _log.info("image %s comes as a whole: %s", self._image.id, error)
            return None
        return self._data(neighbour, source, ours.within(theirs))

    async def _data(
        self, neighbour: Neighbour, source: RemoteTree, terms: Terms
    ) -> AsyncGenerator[bytes]:
        service, image = self._service, self._image
        bases = await self._bases()
        parts = await service.catalogue.parts(image.id)
        compared = [
            comparing.Base(await LocalTree.open(service.pieces, base.content), Origin.IMAGE, n)
            for n, base in enumerate(bases)
        ]
        compared += [
            comparing.Base(
                await LocalTree.open(service.pieces, part.content), Origin.PART, part.number
            )
            for part in parts
        ]
        numbers = count(max((part.number for part in parts), default=-1) + 1)

        async def bring(pieces: Sequence[Piece]) -> int:
            async with neighbour.batch(spans(pieces)) as coming:
                frame = await service.pieces.spool(coming, LARGEST_FRAME)
            with frame:
                unpack = partial(_unpacked, frame, pieces, image)
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

        found = difference(source, compared)
        async with Bringing(found, terms.largest_batch, terms.most_pieces, bring) as bringing:
            assembly = Assembly(service, image.id, bringing.stretches(), bases)
            async with aclosing(assembly.data()) as data:
                async for block in data:
                    yield block


class LocalTree:
    """A manifest that is in the region's own store."""

    def __init__(self, pieces: Pieces, content: str, root: Root) -> None:
        self._pieces = pieces
        self._content = content
        self.root = root

    @classmethod
    async def open(cls, pieces: Pieces, content: str) -> Self:
        """Read the root."""
        _, root = await pieces.root(content)
        return cls(pieces, content, decode_root(root))

    async def segments(self, places: Sequence[Place]) -> Sequence[Segment]:
        """Read segments."""
        found = await self._pieces.segments(self._content, places)
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
