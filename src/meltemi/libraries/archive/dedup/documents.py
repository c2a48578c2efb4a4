"""Metadata in objects that are written once; of each image, the newest counts.

Every method blocks; none may run beside another of the same object.
"""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from blake3 import blake3

from meltemi.chunks.backends.base import Backend
from meltemi.errors import ArchiveError, MeltemiError, MissingError
from meltemi.libraries.archive import metadata
from meltemi.libraries.archive.layout import UUID
from meltemi.libraries.archive.metadata import Described

FOLDER: Final = "images"
SEAL_BYTES: Final = 64 + 1
_SETS: Final = "sets"
_APPLIED: Final = "applied"
_NONCE: Final = "[0-9a-f]{32}"
_NAME: Final = re.compile(
    rf"(?:{FOLDER}|{_SETS}/(?P<set>[0-9a-z-]+))/(?P<id>{UUID})\."
    rf"(?:(?P<version>[1-9][0-9]{{0,8}})(?(set)|\.{_NONCE})\.json|deleted)"
)
_AT_ONCE: Final = 8
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Document:
    """An object that says what an image is; `version` counts, and is None where it is deleted.

    One that came with a set of bundles counts once the whole set has been applied.
    """

    image_id: str
    version: int | None
    object: str
    size: int
    set: str | None = None


def seal(image_id: str, version: int, raw: bytes) -> bytes:
    """Give metadata as its object has it: with a hash of it and of what it is of."""
    return raw + blake3(f"{image_id}.{version}\n".encode() + raw).hexdigest().encode() + b"\n"


def unseal(image_id: str, version: int, content: bytes) -> Described:
    """Read what `seal` gave; raise ValueError where it is anything else."""
    raw = content[:-SEAL_BYTES]
    if seal(image_id, version, raw) != content:
        raise ValueError("it was altered")
    described = metadata.decode(raw)
    if described[0].id != image_id:
        raise ValueError(f"it is of image {described[0].id}")
    return described


class Documents:
    """What the objects of an archive say of its images.

    `deleted` holds the ids that are burnt, `pending` those of which sets speak that were never
    wholly applied.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._newest: dict[str, Document] = {}
        self._last: dict[str, int] = {}
        self._old: list[str] = []
        self._applied: set[str] = set()
        self.deleted: set[str] = set()
        self.pending: set[str] = set()

    def load(self) -> None:
        """Look which there are."""
        # First: of a set that is applied, everything was there before.
        applied = {name.removeprefix(f"{_APPLIED}/") for name, _ in self._backend.names(_APPLIED)}
        counted: list[Document] = []
        waiting: list[Document] = []
        for document in sorted(self._listed(), key=lambda one: (one.version or 0, one.object)):
            counts = document.set is None or document.set in applied
            (counted if counts else waiting).append(document)
        self._applied, self._newest, self._last = applied, {}, {}
        self._old = [document.object for document in waiting]
        self.pending = {document.image_id for document in waiting}
        self.deleted = {document.image_id for document in counted if document.version is None}
        for document in counted:
            if document.version is None:
                continue
            former = self._newest.get(document.image_id)
            if former is not None:
                self._old.append(former.object)
            self._newest[document.image_id] = document
            self._last[document.image_id] = document.version
        for image_id in self.deleted & self._newest.keys():
            self._old.append(self._newest.pop(image_id).object)

    @property
    def ids(self) -> list[str]:
        """Give the ids of the images that there are, ascending."""
        return sorted(self._newest)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._newest

    def version(self, image_id: str) -> int:
        """Give the version of an image's metadata, 0 where there is none."""
        found = self._newest.get(image_id)
        return found.version or 0 if found else 0

    def read(self, image_ids: Iterable[str]) -> list[Described]:
        """Give what is said of those images that there are.

        Raise ArchiveError where that cannot be believed. A writer may replace it meanwhile; then
        it is looked for again.
        """
        wanted = list(image_ids)
        for attempt in range(_ATTEMPTS):
            found = [self._newest[one] for one in wanted if one in self._newest]
            try:
                if len(found) <= 1:
                    return list(map(self._described, found))
                with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="documents") as pool:
                    return list(pool.map(self._described, found))
            except MissingError as error:
                if attempt + 1 == _ATTEMPTS:
                    raise ArchiveError(f"{error}; restore it from another copy") from error
                self.load()
        raise AssertionError("the last attempt returns or raises")

    def content(self, image_id: str) -> bytes:
        """Give the newest metadata of an image as its object has it."""
        return self._content(self._newest[image_id])

    def write(self, image_id: str, raw: bytes) -> None:
        """Say anew what an image is; it is stored when this returns."""
        version = self._last.get(image_id, 0) + 1
        # A write that failed may have happened: nothing else may have its number.
        self._last[image_id] = version
        content = seal(image_id, version, raw)
        name = f"{FOLDER}/{image_id}.{version}.{uuid4().hex}.json"
        try:
            self._backend.write(name, content)
        except BaseException:
            self._clear(name)
            raise
        former = self._newest.get(image_id)
        self._newest[image_id] = Document(image_id, version, name, len(content))
        if former is not None:
            self._clear(former.object)

    def delete(self, image_id: str) -> None:
        """Say that an image is deleted, for ever."""
        self._backend.write(f"{FOLDER}/{image_id}.deleted", b"")
        self.deleted.add(image_id)
        if former := self._newest.pop(image_id, None):
            self._clear(former.object)

    def tidy(self) -> None:
        """Remove what does not count any more, or never did."""
        for name in self._old:
            self._clear(name)
        self._old = []
        self.pending = set()

    # Sets of bundles

    def is_applied(self, set_id: str) -> bool:
        """Say whether a set has been applied."""
        return set_id in self._applied

    def prepare(self, set_id: str, image_id: str, version: int, content: bytes) -> None:
        """Write sealed metadata that is to count with its set."""
        self._backend.write(f"{_SETS}/{set_id}/{image_id}.{version}.json", content)

    def prepare_deleted(self, set_id: str, image_id: str) -> None:
        """Say that an image is to be deleted with a set."""
        self._backend.write(f"{_SETS}/{set_id}/{image_id}.deleted", b"")

    def commit(self, set_id: str) -> None:
        """Let all count that was prepared for a set; it is to be loaded anew then."""
        self._backend.write(f"{_APPLIED}/{set_id}", b"")

    def _listed(self) -> Iterator[Document]:
        for folder in (FOLDER, _SETS):
            for name, size in self._backend.names(folder):
                found = _NAME.fullmatch(name)
                if found is None:
                    raise ArchiveError(
                        f"{self._backend.label}: {name} is no name that an archive has; move it "
                        "away"
                    )
                version = int(found["version"]) if found["version"] else None
                yield Document(found["id"], version, name, size, found["set"])

    def _described(self, document: Document) -> Described:
        content = self._content(document)
        try:
            return unseal(document.image_id, document.version or 0, content)
        except ValueError as error:
            where = f"{self._backend.label}: {document.object}"
            raise ArchiveError(f"{where}: {error}; restore it from another copy") from error

    def _content(self, document: Document) -> bytes:
        most = metadata.LIMIT + SEAL_BYTES
        if document.size > most:
            raise ArchiveError(
                f"{self._backend.label}: {document.object} has more than {most} bytes; restore it "
                "from another copy"
            )
        return self._backend.read(document.object, 0, document.size + 1)

    def _clear(self, name: str) -> None:
        # What cannot be removed now is a leftover, and the next writer's to remove.
        with suppress(MeltemiError):
            self._backend.delete(name)
