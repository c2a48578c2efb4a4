"""Pushing a file: an image is registered, given what the library lacks of its data, and verified.

While it is on its way it bears a mark, the hash of its data, by which the next push of the same
file finds it and goes on.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import stamina

from meltemi.chunks.digests import KNOWN
from meltemi.chunks.exchange.terms import Terms
from meltemi.errors import (
    BusyError,
    ConflictError,
    CorruptionError,
    ForbiddenError,
    ImageError,
    InterruptedTransfer,
    MeltemiError,
    VanishedError,
    is_passing,
)
from meltemi.libraries.base import Changes, Library
from meltemi.libraries.exchanging import Exchange
from meltemi.model.image import Hashes, Image, Value
from meltemi.replication.exchange.bases import Bases
from meltemi.replication.exchange.comparing import Ends
from meltemi.replication.exchange.sending import BATCHES, ByPieces
from meltemi.replication.limits import Bandwidth
from meltemi.replication.verification import read_back
from meltemi.threads import in_thread
from meltemi.workstation.cutting import cut
from meltemi.workstation.files import LocalFile
from meltemi.workstation.giving import FileGiver, exchange_of

MARK: Final = "meltemi_push"

_HASH: Final = "sha512"
_ATTEMPTS: Final = 4
_FILLED: Final = ("saving", "active")
_SETTLING_SECONDS: Final = 30
"""How long a library may take to notice that an upload was cut off."""

Done = Callable[[int], None]
"""Is told of bytes."""


class Push:
    """One file on its way to become an image; its steps are `begin`, `read` and `send`.

    `image` says what it is to be, without an id where the library is to choose one; `bases` are
    ids of images that it is compared with, chosen from all where there are none. `whole` tells why
    it is sent as a whole, where it is.
    """

    def __init__(
        self, library: Library, file: LocalFile, image: Image, bases: Sequence[str]
    ) -> None:
        self._library = library
        self._file = file
        self._image = image
        self._bases = bases
        self._exchange: tuple[Exchange, Terms] | None = None
        self._giver: FileGiver | None = None
        self.whole = ""

    async def begin(self) -> None:
        """See that there are such bases, and how the library takes data."""
        for base in self._bases:
            found = await self._library.show(base)
            if found.status != "active":
                raise ConflictError(
                    f"{self._library.name}: image {found.label} is {found.status}; only one that "
                    "is active can be a base"
                )
        met = await exchange_of(self._library)
        if isinstance(met, str):
            self.whole = met
        elif met[1].hash not in KNOWN:  # nothing could keep a file that changes from being active
            self.whole = f"it verifies data by {met[1].hash or 'nothing'}, which is unknown here"
        else:
            self._exchange = met

    async def read(self, done: Done) -> None:
        """Cut the file and hash it; `done` is told how far it is."""
        asked = self._exchange[1].hash if self._exchange else None
        algorithm = asked or _HASH
        manifest = await cut(self._file, [algorithm] if asked else ["md5", algorithm], done)
        hashes = Hashes(manifest.hashes.get("md5"), algorithm, manifest.hashes[algorithm])
        self._image = replace(self._image, size=manifest.root.size, hashes=hashes)
        self._giver = FileGiver(self._file, manifest)
        if self._file.is_changed:
            raise self._written_to()

    async def send(self, done: Done) -> Image:
        """Send what the library lacks, and give the image as it is there.

        `done` is told how much crossed the wire since it was told last. What fails leaves the image
        queued, and the next push goes on with it.
        """
        found, bases = await self._look()
        if found is None:
            image = await self._library.create(self._draft())
        else:
            image = await self._taken_over(found)
        pieces = self._by_pieces(self._bases or bases)
        try:
            async for attempt in stamina.retry_context(
                on=is_passing, attempts=_ATTEMPTS, timeout=None
            ):
                with attempt:
                    await self._fill(image.id, pieces, done)
        except ImageError as error:
            if self._file.is_changed and await self._is_given_up(image.id):
                raise self._written_to() from error
            raise
        stored = await self._verified(image.id)
        remove = frozenset({MARK} & stored.properties.keys())
        return await self._library.update(stored.id, Changes({}, remove))

    async def _look(self) -> tuple[Image | None, Sequence[str]]:
        """Find the image of a push that was interrupted, and the bases of a new one."""
        bases = Bases([self._image])
        found: Image | None = None
        async for page in self._library.list_images():
            for image in page:
                bases.look(image)
                if self._is_ours(image) and not (found and found.has_data):
                    found = image
        return found, bases.choose(self._image)

    def _is_ours(self, image: Image) -> bool:
        """Say whether an image is this one, begun by an earlier push."""
        wanted, mark = self._image, image.properties.get(MARK)
        if mark is None or image.owner != (self._library.project or image.owner):
            return False
        if wanted.id and image.status == "queued":
            return image.id == wanted.id
        same = mark == self._mark and image.name == wanted.name and wanted.id in ("", image.id)
        filled = image.status in _FILLED and _formats(image) == _formats(wanted)
        return same and (image.status == "queued" or filled)

    async def _taken_over(self, image: Image) -> Image:
        """Let what an earlier push registered be as this one wants it."""
        wanted = self._draft()
        present: dict[str, Value] = {**image.attributes(), **_formats(image)}
        attributes: dict[str, Value] = {
            "name": wanted.name,
            "visibility": wanted.visibility,
            "tags": wanted.tags,
            **_formats(wanted),
            **wanted.properties,
        }
        changes = {name: value for name, value in attributes.items() if value != present.get(name)}
        return await self._library.update(image.id, Changes(changes)) if changes else image

    @property
    def _mark(self) -> str:
        return f"{self._image.hashes.algorithm}:{self._image.hashes.value}"

    def _draft(self) -> Image:
        properties = {**self._image.properties, MARK: self._mark}
        return replace(self._image, properties=properties)

    def _by_pieces(self, bases: Sequence[str]) -> ByPieces | None:
        if self._exchange is None or self._giver is None:
            return None
        exchange, terms = self._exchange
        ends = Ends(self._giver, exchange, terms, is_near=True)
        return ByPieces(ends, self._image, bases, Bandwidth(), asyncio.Semaphore(BATCHES))

    async def _fill(self, image_id: str, pieces: ByPieces | None, done: Done) -> None:
        """Give an image its data, unless it has it."""
        if (await self._settled(image_id)).has_data:
            return
        try:
            if pieces:
                await pieces.send(image_id, done)
            else:
                await self._library.upload(image_id, self._file.size, self._data(done))
        except (ConflictError, ForbiddenError, VanishedError) as error:
            # A base may be gone by now, or somebody else sends the same.
            raise InterruptedTransfer(str(error)) from error

    async def _settled(self, image_id: str) -> Image:
        """Give the image, after waiting for an upload that was cut off to be noticed as such."""
        for _ in range(_SETTLING_SECONDS):
            image = await self._library.show(image_id)
            if image.status != "saving":
                break
            await asyncio.sleep(1)
        if image.status == "saving":
            raise BusyError(
                f"{self._library.name}: image {image.label}: somebody else sends its data; delete "
                "it where nobody does"
            )
        if image.status not in ("queued", "active"):
            raise ConflictError(
                f"{self._library.name}: image {image.label} became {image.status} meanwhile"
            )
        return image

    async def _is_given_up(self, image_id: str) -> bool:
        """Say whether an image has no data; delete it where no other push will ever find it."""
        with suppress(MeltemiError):
            image = await self._library.show(image_id)
            if image.has_data:
                return False
            if not self._image.id:
                await self._library.delete(image_id)
        return True

    async def _data(self, done: Done) -> AsyncIterator[bytes]:
        """Give the file as a whole; fail before its last piece is used where it changed."""
        found = hashlib.new(self._image.hashes.algorithm or _HASH)
        pieces = self._file.pieces()
        while piece := await in_thread(next, pieces, b""):
            await in_thread(found.update, piece)
            yield piece
            done(len(piece))
        if found.hexdigest() != self._image.hashes.value:
            raise self._written_to()

    async def _verified(self, image_id: str) -> Image:
        """Give the image, once what the library says of its data is what the file has."""
        image = await self._library.show(image_id)
        same = self._image.hashes.agree(image.hashes)
        if same is None:
            same = await read_back(self._image.hashes, self._library, image_id)
        if not same or image.size != self._image.size:
            raise CorruptionError(
                f"{self._library.name}: image {image.label}: the library stored other data than "
                f"{self._file.label} has; delete it, and look at the library's storage"
            )
        return image

    def _written_to(self) -> ImageError:
        return ImageError(
            f"{self._file.label}: it was written to while it was pushed; no image became of it: "
            "push it again when nobody does that"
        )


def _formats(image: Image) -> dict[str, Value]:
    return {"disk_format": image.disk_format, "container_format": image.container_format}
