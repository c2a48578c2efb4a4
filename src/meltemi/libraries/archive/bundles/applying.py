"""Applying a set of bundles to an archive: nothing of it counts before all of it is there."""

from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from meltemi.chunks.blob import BlobId
from meltemi.chunks.fetching import unpacked
from meltemi.chunks.head import Head
from meltemi.chunks.marks import Marks, mark_head
from meltemi.chunks.packing import Packer
from meltemi.chunks.publishing import publish
from meltemi.chunks.session import Session
from meltemi.errors import ArchiveError, DamageError
from meltemi.libraries.archive.bundles import records
from meltemi.libraries.archive.bundles.manifest import SetManifest
from meltemi.libraries.archive.bundles.reading import BundleSet, Done
from meltemi.libraries.archive.dedup.contents import Contents, image_of, is_data_of, name_of
from meltemi.libraries.archive.dedup.documents import Documents, unseal
from meltemi.libraries.archive.dedup.opening import can_begin, check_index, open_contents
from meltemi.libraries.archive.files import shown
from meltemi.model.image import Image

_BATCH: Final = 8 * 2**20
_MOST: Final = 1024


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a set did; `stored` are the bytes that were new."""

    images: int = 0
    deleted: int = 0
    stored: int = 0


def apply(
    bundles: BundleSet, place: Path | str, index: str | None, done: Done = lambda _: None
) -> Applied | None:
    """Bring a set into the archive in a folder or a bucket; make the archive where there is none.

    All of it is read twice, first to see that it is whole; `done` is told of bytes that were read.
    Give None where that set has been applied. Raise ArchiveError where something of it is missing
    or altered, where it builds on what is not there, does not hold together, or an image has other
    data here: then nothing of it counts.
    """
    where = shown(place) if isinstance(place, Path) else place
    check_index(place, index)
    bundles.check(done)
    if can_begin(place):
        _must_fit(bundles.manifest, where, None)
    with ExitStack() as held:
        contents = open_contents(place, index, held, writable=True)
        with contents.using() as documents:
            if documents.is_applied(bundles.manifest.id):
                return None
            _must_fit(bundles.manifest, where, (contents, documents))
            return _apply(bundles, contents, documents, done)


def _must_fit(bound: SetManifest, where: str, archive: tuple[Contents, Documents] | None) -> None:
    """Raise ArchiveError where a set builds on what an archive has not."""
    manifests: set[BlobId] = set()
    is_next = bound.after is None
    if archive is not None:
        contents, documents = archive
        is_next = is_next or documents.is_applied(bound.after or "")
        heads = map(contents.head, contents.images())
        manifests = {head.manifest for head in heads if head is not None}
    if not is_next:
        raise ArchiveError(
            f"{where}: set {bound.id} comes after set {bound.after}, which was not applied here; "
            "nothing was applied: apply that first"
        )
    if missing := [base for base in bound.bases if base.manifest not in manifests]:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ArchiveError(
            f"{where}: set {bound.id} builds on the data of image {missing[0].image}{more}, which "
            "is not here; nothing was applied: apply the set that brings it, or have one made "
            "--since the state of this archive"
        )


def _apply(bundles: BundleSet, contents: Contents, documents: Documents, done: Done) -> Applied:
    store = contents.store
    # As long as it lives, no pack that it brings is collected.
    with Session(store.sessions) as session:
        packer = Packer(*(store.backend, store.blobs, session.number, store.crowd), lambda *_: None)
        with closing(packer):
            applying = _Applying(bundles.manifest, contents, documents, packer)
            for record in bundles.records(done):
                applying.take(record)
                session.check()
            applying.flush()
        applying.publish()
        contents.check()
        documents.commit(bundles.manifest.id)
        contents.settle()
        return Applied(len(applying.images), len(applying.deleted), packer.stored)


class _Applying:
    def __init__(
        self, bound: SetManifest, contents: Contents, documents: Documents, packer: Packer
    ) -> None:
        self._set = bound.id
        self._contents = contents
        self._documents = documents
        self._packer = packer
        self._store = contents.store
        self._where = contents.store.backend.label
        self._heads: dict[str, Head] = {}
        self._waiting: list[records.Blob] = []
        self._held = 0
        self.images: dict[str, Image] = {}
        self.deleted: list[str] = []

    def take(self, record: records.Record) -> None:
        """Take in the next record."""
        match record:
            case records.Deleted(image_id):
                if image_id not in self._documents.deleted:
                    self._documents.prepare_deleted(self._set, image_id)
                    self.deleted.append(image_id)
            case records.Document():
                self._take_document(record)
            case records.HeadText(head_id, text):
                self._take_head(head_id, text)
            case records.Blob():
                self._waiting.append(record)
                self._held += len(record.stored)
                if self._held >= _BATCH or len(self._waiting) >= _MOST:
                    self._keep()

    def flush(self) -> None:
        """See that all blobs are stored."""
        self._keep()
        self._packer.flush()

    def publish(self) -> None:
        """Give all data its heads, once all that they need is here."""
        with _Here(self._contents, self._where) as here:
            for image in self.images.values():
                if not image.has_data or self._contents.head(image) is not None:
                    continue
                head = self._heads.get(image.id)
                if head is None or not is_data_of(head, image):
                    raise self._wrong(f"it does not bring the data of image {image.label}")
                here.label = image.label
                here.relied = set()
                try:
                    mark_head(head, self._store.fetcher, here)
                except DamageError as error:
                    raise self._wrong(str(error)) from error
                self._publish_one(image, head, here.relied)

    def _publish_one(self, image: Image, head: Head, relied: set[str]) -> None:
        mine = replace(
            head,
            name=name_of(image.id),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            id=uuid4().hex,
        )
        with Session(self._store.sessions) as session:
            publish(self._store.backend, self._store.heads, session.number, mine, relied)

    def _take_document(self, document: records.Document) -> None:
        image_id, version = document.image_id, document.version
        try:
            image, _ = unseal(image_id, version, document.content)
        except ValueError as error:
            raise self._wrong(f"the metadata of image {image_id}: {error}") from error
        documents = self._documents
        if image_id in documents.deleted or version <= documents.version(image_id):
            return
        if image_id in self.images:
            raise self._wrong(f"image {image.label} is in it twice")
        for former, _ in documents.read([image_id]):
            if former.has_data and (former.size, former.hashes) != (image.size, image.hashes):
                raise self._wrong(f"image {image.label} has other data here")
        documents.prepare(self._set, image_id, version, document.content)
        self.images[image_id] = image

    def _take_head(self, head_id: str, text: str) -> None:
        try:
            head = Head.decode(head_id, text)
        except ValueError as error:
            raise self._wrong(f"a head: {error}") from error
        if image_id := image_of(head.name):
            self._heads[image_id] = head

    def _keep(self) -> None:
        """Store the blobs that wait, as far as they are not here."""
        waiting, self._waiting, self._held = self._waiting, [], 0
        hits = self._store.blobs.hits(blob.id for blob in waiting)
        for blob in waiting:
            if unpacked(blob.place, blob.stored) is None:
                raise self._wrong(f"blob {blob.id.hex()} is not what its name says")
            if blob.id not in hits and blob.id not in self._packer.here:
                self._packer.add(blob.id, blob.coding, blob.stored, blob.length)

    def _wrong(self, what: str) -> ArchiveError:
        return ArchiveError(f"{self._where}: set {self._set}: {what}; nothing was applied")


class _Here(Marks):
    """The blobs that were seen to be here, and the packs that hold them."""

    def __init__(self, contents: Contents, where: str) -> None:
        super().__init__()
        self._blobs = contents.store.blobs
        self._where = where
        self.label = ""
        self.relied: set[str] = set()

    def add(self, ids: Iterable[BlobId]) -> list[BlobId]:
        """Give those that were not seen before; raise ArchiveError where one is not here."""
        new = super().add(ids)
        hits = self._blobs.hits(new)
        if lost := [blob for blob in new if blob not in hits]:
            raise ArchiveError(
                f"{self._where}: the data of image {self.label} is not complete: {lost[0].hex()} "
                "is neither in the set nor here; nothing was applied: have a set made that does "
                "not build on what is here"
            )
        self.relied.update(hits.values())
        return new
