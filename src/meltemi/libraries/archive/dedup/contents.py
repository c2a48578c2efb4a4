"""What an archive on a chunk store holds: data under heads, metadata in documents.

Every method blocks; any thread may call any of them, also at the same time.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging import getLogger
from threading import Lock
from typing import Final
from uuid import uuid4

from meltemi.chunks.head import Head
from meltemi.chunks.reconcile import reindex
from meltemi.chunks.store import Store
from meltemi.errors import (
    ArchiveError,
    ConflictError,
    ForbiddenError,
    MeltemiError,
    RefusedError,
    VanishedError,
)
from meltemi.libraries.archive.contents import Edit
from meltemi.libraries.archive.dedup.documents import Documents
from meltemi.libraries.archive.dedup.holding import Hold
from meltemi.libraries.archive.editing import filling
from meltemi.libraries.archive.layout import is_uuid
from meltemi.libraries.archive.metadata import Described
from meltemi.model.image import Hashes, Image

_AT_ONCE: Final = 100

_log = getLogger(__name__)


class Contents:
    """The images of an archive; checked as a whole at the first use.

    With a `hold` it can be written, and what a killed writer left is cleared away. An index that
    is `scratch` is made for this reader, and knows what there was when it looked last.
    """

    def __init__(self, store: Store, hold: Hold | None, *, scratch: bool = False) -> None:
        self.store: Final = store
        self._hold = hold
        self._scratch = scratch
        self._documents = Documents(store.backend)
        self._heads: dict[str, list[Head]] = {}
        self._loaded = False
        self._lock = Lock()
        self._where = store.backend.label

    def ids(self) -> list[str]:
        """Give the ids of all images, ascending."""
        with self.using() as documents:
            return documents.ids

    def describe(self, *image_ids: str) -> list[Described]:
        """Give those of the images that are there, with their members."""
        with self.using():
            return self._read(*image_ids)

    def data(self, image_id: str) -> Head:
        """Give the head of an image's data; raise ConflictError where there is none."""
        with self.using():
            image, _ = self._one(image_id)
            if (head := self.head(image)) is None:
                raise ConflictError(f"image {image_id} in {self._where} has no data")
            return head

    def expect_queued(self, image_id: str) -> None:
        """Raise ConflictError where an image has its data."""
        with self.using():
            self._queued(image_id)
            self._drop(image_id)

    def add(self, image_id: str, raw: bytes) -> None:
        """Add a queued image with encoded metadata."""
        with self.using() as documents:
            if image_id in documents or image_id in documents.deleted:
                raise ConflictError(f"id {image_id} is or was another image's in {self._where}")
            documents.write(image_id, raw)

    def edit(self, image_id: str, edit: Edit) -> Described:
        """Write an image's metadata anew, and give it."""
        with self.using() as documents:
            self._write(documents, self._one(image_id), edit)
            return self._one(image_id)

    def fill(self, image_id: str, head: Head) -> None:
        """Make what was stored under a head the data of a queued image."""
        with self.using() as documents:
            self._heads.setdefault(image_id, []).append(head)
            try:
                self._write(documents, self._queued(image_id), _filling(head))
            except BaseException:
                self._drop(image_id)
                raise

    def delete(self, image_id: str) -> None:
        """Delete an image and burn its id; its data goes with the next collection."""
        with self.using() as documents:
            image, _ = self._one(image_id)
            if image.protected:
                raise ForbiddenError(f"image {image.label} in {self._where} is protected")
            documents.delete(image_id)
            self._drop(image_id)

    def images(self) -> Iterator[Image]:
        """Give all images; to be used within `using`."""
        ids = self._documents.ids
        for begin in range(0, len(ids), _AT_ONCE):
            for image, _ in self._read(*ids[begin : begin + _AT_ONCE]):
                yield image

    def settle(self) -> None:
        """Look anew at what there is, at the next use; to be called within `using`."""
        self._loaded = False

    def check(self) -> None:
        """Raise SessionLostError where another may be writing."""
        if self._hold is not None:
            self._hold.check()

    @contextmanager
    def using(self) -> Iterator[Documents]:
        """Give the documents, to nobody else at the same time."""
        with self._lock:
            self.check()
            if not self._loaded:
                self._load()
                if self._hold is not None:
                    # Only now: nothing is removed from an archive that is damaged.
                    self._recover()
                self._loaded = True
            yield self._documents

    def _load(self) -> None:
        self._look()
        for _ in self.images():
            pass
        known = {*self._documents.ids, *self._documents.deleted, *self._documents.pending}
        if lost := sorted(self._heads.keys() - known):
            raise ArchiveError(
                f"{self._where}: the metadata of image {lost[0]}, of which there is data, is "
                "missing; restore it from another copy"
            )

    def _look(self) -> None:
        # In this order: an image gets its head first, and only then says that it has data.
        self._documents.load()
        if self._scratch:
            reindex(self.store)
        self._heads = {}
        for head in self.store.heads.all():
            if image_id := image_of(head.name):
                self._heads.setdefault(image_id, []).append(head)

    def _recover(self) -> None:
        for image_id in sorted(self._heads):
            if image_id not in self._documents:
                self._drop(image_id)
                continue
            described = self._one(image_id)
            # What came with a set that was never wholly applied is nobody's.
            if not described[0].has_data and image_id not in self._documents.pending:
                self._write(self._documents, described, _filling(self._heads[image_id][0]))
                _log.info("image %s: its data was complete and is kept", described[0].label)
            self._drop(image_id, but=self.head(self._one(image_id)[0]))
        self._documents.tidy()

    def _read(self, *image_ids: str) -> list[Described]:
        found = self._documents.read(image_ids)
        for image, _ in found:
            if image.has_data and self.head(image) is None:
                if self._hold is None:  # a writer may have filled it meanwhile
                    self._look()
                if self.head(image) is None:
                    raise self._lacking(image)
            if not image.has_data and (image.size, image.hashes) != (None, Hashes()):
                raise ArchiveError(
                    f"{self._where}: image {image.label} is queued and has a size or hashes; "
                    "restore its metadata from another copy"
                )
        return found

    def _one(self, image_id: str) -> Described:
        for described in self._read(image_id):
            return described
        raise VanishedError(f"there is no image {image_id} in {self._where}")

    def _queued(self, image_id: str) -> Described:
        described = self._one(image_id)
        if described[0].has_data:
            raise ConflictError(f"image {image_id} in {self._where} has its data already")
        return described

    def _write(self, documents: Documents, described: Described, edit: Edit) -> None:
        image_id = described[0].id
        try:
            raw = edit(described)
        except ValueError as error:
            raise RefusedError(f"image {image_id}: {self._where} cannot hold {error}") from error
        documents.write(image_id, raw)

    def head(self, image: Image) -> Head | None:
        """Give the head of an image's data: there may be others, of writers that were killed."""
        heads = self._heads.get(image.id, ()) if image.has_data else ()
        return next((head for head in heads if is_data_of(head, image)), None)

    def _lacking(self, image: Image) -> ArchiveError:
        what = f"{self._where}: the metadata of image {image.label} and its data disagree"
        if image.id not in self._heads:
            what = f"{self._where}: the data of image {image.label} is missing"
        return ArchiveError(
            f"{what}; restore both from another copy, then rebuild the index "
            "(meltemi store reindex)"
        )

    def _drop(self, image_id: str, but: Head | None = None) -> None:
        """Take away heads that are no image's; what cannot be removed now is a leftover."""
        for head in self._heads.pop(image_id, []):
            if head == but:
                self._heads[image_id] = [head]
                continue
            with suppress(MeltemiError):
                self.store.remove(head.name)


def name_of(image_id: str) -> str:
    """Name a head for an image's data; an upload that was killed may hold any other name."""
    return f"{image_id}.{uuid4().hex}"


def image_of(name: str) -> str | None:
    """Say whose data a head is that `name_of` named; None where it is of no image."""
    image_id, _, _ = name.partition(".")
    return image_id if is_uuid(image_id) else None


def is_data_of(head: Head, image: Image) -> bool:
    """Say whether a head leads to an image's data, by size and hashes."""
    return (head.size, _hashes(head)) == (image.size, image.hashes)


def _filling(head: Head) -> Edit:
    return filling(head.size, _hashes(head))


def _hashes(head: Head) -> Hashes:
    return Hashes(head.hashes.get("md5"), "sha512", head.hashes.get("sha512"))
