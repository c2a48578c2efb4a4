"""Making a set of bundles: what an archive has and another, whose state is known, lacks."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from meltemi.chunks.blob import BlobId
from meltemi.chunks.fetching import stretches, unpacked
from meltemi.chunks.footers import places_of
from meltemi.chunks.head import Head
from meltemi.chunks.index.blobs import Location
from meltemi.chunks.index.collection import pack_rows
from meltemi.chunks.index.schema import State as PackState
from meltemi.chunks.marks import Marks, mark_head
from meltemi.chunks.pack import Place, pack_object
from meltemi.chunks.session import Session
from meltemi.chunks.store import Store
from meltemi.errors import DamageError, MissingError
from meltemi.libraries.archive.bundles import records, sealing
from meltemi.libraries.archive.bundles.manifest import SIGNATURE, STATE, Base, SetManifest
from meltemi.libraries.archive.bundles.state import Known, State
from meltemi.libraries.archive.bundles.writing import BundleWriter
from meltemi.libraries.archive.dedup.contents import Contents
from meltemi.libraries.archive.dedup.documents import Documents
from meltemi.libraries.archive.layout import SET
from meltemi.model.image import Image

if TYPE_CHECKING:  # slow, and needed only where keys are
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Made:
    """A set that was made: the file that binds it, its bundles, images and bytes."""

    path: Path
    bundles: int
    images: int
    deleted: int
    size: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What goes into a set."""

    images: list[str]
    deleted: list[str]
    heads: list[Head]
    known: list[tuple[Image, Head]]


def state_of(contents: Contents) -> State:
    """Say what an archive has."""
    with contents.using() as documents:
        images = {image_id: Known(None) for image_id in documents.deleted}
        for image in contents.images():
            head = contents.head(image)
            manifest_id = head.manifest if head else None
            images[image.id] = Known(documents.version(image.id), manifest_id)
        return State(images)


def make(
    contents: Contents,
    folder: Path,
    size: int,
    since: State,
    key: "Ed25519PrivateKey | None",
    *,
    done: Callable[[int], None] = lambda _: None,
) -> Made | None:
    """Write a set into a folder, in bundles of at most `size` bytes; None where nothing is lacking.

    Beside it lies the state of the other archive once it has been applied there. `done` is told of
    bytes that were written.
    """
    store = contents.store
    # As long as it lives, no pack that is there now is deleted.
    with Session(store.sessions), Marks() as needed, _Covered(needed) as covered:
        mine = state_of(contents)
        with contents.using() as documents:
            wanted = _wanted(contents, documents, since)
            if not (wanted.images or wanted.deleted):
                return None
            for head in wanted.heads:
                mark_head(head, store.fetcher, needed)
            bases = _bases(wanted.known, store, covered)
            sealing.begin_folder(folder)
            set_id = f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{token_hex(8)}"
            with closing(BundleWriter(folder, set_id, size)) as out:
                described = _described(wanted, documents)
                for record in chain(described, _blobs(store, needed, covered)):
                    done(out.add(record))
                parts = out.finish()
                bound = SetManifest(set_id, parts, bases, since.after)
                content = bound.encode()
                then = State({**since.images, **mine.images}, after=set_id)
                out.beside(STATE, then.encode())
                if key is not None:
                    out.beside(SET + SIGNATURE, key.sign(content))
                out.beside(SET, content)
                out.keep()
    path = folder / f"{set_id}{SET}"
    total = sum(part.size for part in parts)
    return Made(path, len(parts), len(wanted.images), len(wanted.deleted), total)


def _wanted(contents: Contents, documents: Documents, since: State) -> _Wanted:
    """Say what the other archive lacks, and which data it has."""
    theirs = {known.manifest for known in since.images.values() if known.manifest}
    deleted = sorted(i for i in documents.deleted if since.images.get(i) != Known(None))
    wanted = _Wanted([], deleted, [], [])
    for image in contents.images():
        head = contents.head(image)
        known = since.images.get(image.id, Known(0))
        if head is not None and head.manifest in theirs:
            wanted.known.append((image, head))
        if known.version is None or known.version >= documents.version(image.id):
            continue
        wanted.images.append(image.id)
        if head is not None and known.manifest != head.manifest:
            wanted.heads.append(head)
    return wanted


class _Covered(Marks):
    """The blobs that are needed and that the other archive has; `hit` tells of new ones."""

    def __init__(self, needed: Marks) -> None:
        super().__init__()
        self._needed = needed
        self.hit = False

    def add(self, ids: Iterable[BlobId]) -> list[BlobId]:
        """Mark what is there; give what was not marked before, so that it is followed."""
        new = super().add(ids)
        self.hit = self.hit or bool(self._needed.known(new))
        return new


def _bases(known: list[tuple[Image, Head]], store: Store, covered: _Covered) -> list[Base]:
    """Choose the images that the set builds on, the youngest first: those that it cannot spare."""
    bases = []
    for image, head in sorted(known, key=lambda one: one[1].created, reverse=True):
        covered.hit = False
        mark_head(head, store.fetcher, covered)
        if covered.hit:
            bases.append(Base(head.manifest, image.label))
    return bases


def _described(wanted: _Wanted, documents: Documents) -> Iterator[records.Record]:
    for image_id in wanted.deleted:
        yield records.Deleted(image_id)
    for image_id in wanted.images:
        version = documents.version(image_id)
        yield records.Document(image_id, version, documents.content(image_id))
    for head in wanted.heads:
        yield records.HeadText(head.id, head.encode())


def _blobs(store: Store, needed: Marks, covered: Marks) -> Iterator[records.Record]:
    """Give what is needed and not covered, pack by pack, each blob once."""
    with Marks() as sent:
        for row in pack_rows(store.database):
            if row.state not in (PackState.LIVE, PackState.RETIRING):
                continue
            try:
                places = places_of(store.backend, row.id)
            except (DamageError, MissingError):
                continue  # what is missed for that is told below
            here = {place.blob for place in places}
            wanted = needed.known(here) - covered.known(here) - sent.known(here)
            yield from _from_pack(store, row.id, [p for p in places if p.blob in wanted], sent)
        for batch in needed:
            if lost := {*batch} - covered.known(batch) - sent.known(batch):
                raise DamageError(
                    f"{store.backend.label}: blob {min(lost).hex()} is missing or damaged: "
                    "meltemi store check names the images"
                )


def _from_pack(
    store: Store, pack: str, places: list[Place], sent: Marks
) -> Iterator[records.Record]:
    for stretch in stretches(Location(pack, place, bad=False) for place in places):
        length = stretch.end - stretch.begin
        data = memoryview(store.backend.read(pack_object(pack), stretch.begin, length))
        for place in stretch.places:
            begin = place.offset - stretch.begin
            stored = data[begin : begin + place.stored]
            if unpacked(place, stored) is not None:  # there may be another copy
                sent.add([place.blob])
                yield records.Blob(place.blob, place.coding, place.length, stored)
