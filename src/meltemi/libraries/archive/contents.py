"""What an archive holds, and how it changes: the order of writing that no crash can hurt.

Every method blocks; any thread may call any of them, also at the same time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha512
from threading import Lock
from typing import Final

from meltemi.errors import ConflictError, ForbiddenError, RefusedError, VanishedError
from meltemi.libraries.archive import layout, reading, recovery
from meltemi.libraries.archive.entries import Entry, Stored
from meltemi.libraries.archive.files import Folder, failing, shown, write_all
from meltemi.libraries.archive.manifest import Manifest
from meltemi.libraries.archive.metadata import Described

Edit = Callable[[Described], bytes]
"""Gives new metadata, encoded, for what the old one says; ValueError where it is none."""


class Contents:
    """The manifest of an archive and the files it lists; checked as a whole at the first use."""

    def __init__(self, root: Folder, *, writable: bool) -> None:
        self.images: Final = root.within(layout.IMAGES)
        self._root = root
        self._writable = writable
        self._manifest: Manifest | None = None
        self._lock = Lock()
        self._where = shown(root.path)

    def ids(self) -> list[str]:
        """Give the ids of all images, ascending."""
        with self._using() as manifest:
            return sorted(manifest.entries)

    def describe(self, *image_ids: str) -> list[Described]:
        """Give those of the images that are there, with their members."""
        with self._using() as manifest:
            found = [manifest.entries.get(image_id) for image_id in image_ids]
            return [reading.describe(self.images, entry) for entry in found if entry]

    def data(self, image_id: str) -> Stored:
        """Give what is known of an image's data; raise ConflictError where there is none."""
        with self._using() as manifest:
            entry = self._entry(manifest, image_id)
            if entry.data is None:
                raise ConflictError(f"image {image_id} in {self._where} has no data")
            reading.check_size(self.images, entry)
            return entry.data

    def expect_queued(self, image_id: str) -> None:
        """Raise ConflictError where an image has its data."""
        with self._using() as manifest:
            self._queued(manifest, image_id)

    def add(self, image_id: str, raw: bytes) -> None:
        """Add a queued image with encoded metadata."""
        with self._using() as manifest:
            if image_id in manifest.entries or image_id in manifest.deleted:
                raise ConflictError(f"id {image_id} is or was another image's in {self._where}")
            self._put(manifest, image_id, raw, None)

    def edit(self, image_id: str, edit: Edit) -> Described:
        """Write an image's metadata anew, and give it."""
        with self._using() as manifest:
            entry = self._entry(manifest, image_id)
            return self._put(manifest, image_id, self._edited(entry, edit), entry.data)

    def fill(self, image_id: str, edit: Edit, size: int, sha512_value: str) -> None:
        """Make the complete part file of a queued image its data."""
        with self._using() as manifest:
            entry = self._queued(manifest, image_id)
            image, _ = reading.describe(self.images, entry)
            name = layout.data_name(image_id, image.disk_format)
            stored = Stored(name, size, sha512_value)
            self._put(manifest, image_id, self._edited(entry, edit), stored)

    def delete(self, image_id: str) -> None:
        """Delete an image and burn its id."""
        with self._using() as manifest:
            entry = self._entry(manifest, image_id)
            image, _ = reading.describe(self.images, entry)
            if image.protected:
                raise ForbiddenError(f"image {image.label} in {self._where} is protected")
            manifest.delete(image_id)
            self._clear(entry.metadata.file)
            if entry.data:
                self._clear(entry.data.file)

    def close(self) -> None:
        """Let go of all files; a second time does nothing."""
        with self._lock:
            if self._manifest:
                self._manifest.close()
            self.images.close()
            self._root.close()

    @contextmanager
    def _using(self) -> Iterator[Manifest]:
        with self._lock, failing(self._root.path):
            if self._manifest is None:
                self._manifest = self._load()
            yield self._manifest

    def _load(self) -> Manifest:
        manifest = Manifest(self._root)
        try:
            self._root.names()
            manifest.load(writable=self._writable)
            left = recovery.leftovers(self.images, manifest)
            for entry in manifest.entries.values():
                reading.describe(self.images, entry)
                reading.check_size(self.images, entry)
            if self._writable:
                # Only now: nothing is removed from an archive that is damaged.
                recovery.recover(self.images, manifest, left)
        except BaseException:
            manifest.close()
            raise
        return manifest

    def _entry(self, manifest: Manifest, image_id: str) -> Entry:
        entry = manifest.entries.get(image_id)
        if entry is None:
            raise VanishedError(f"there is no image {image_id} in {self._where}")
        return entry

    def _queued(self, manifest: Manifest, image_id: str) -> Entry:
        entry = self._entry(manifest, image_id)
        if entry.data:
            raise ConflictError(f"image {image_id} in {self._where} has its data already")
        return entry

    def _edited(self, entry: Entry, edit: Edit) -> bytes:
        try:
            return edit(reading.describe(self.images, entry))
        except ValueError as error:
            raise RefusedError(f"image {entry.id}: {self._where} cannot hold {error}") from error

    def _put(self, manifest: Manifest, image_id: str, raw: bytes, data: Stored | None) -> Described:
        former = manifest.entries.get(image_id)
        version = former.version + 1 if former else 1
        written = Stored(layout.metadata_name(image_id, version), len(raw), sha512(raw).hexdigest())
        filling = data is not None and (former is None or former.data is None)
        entry = Entry(image_id, written, data)
        try:
            # The hashes come to rest before the data gets its name, and prove it after a crash.
            with self.images.writing(written.file) as fd:
                write_all(fd, raw)
            if data and filling:
                self.images.rename(layout.part_name(image_id), data.file)
            self.images.sync()
            described = reading.describe(self.images, entry)
            manifest.put(entry)
        except BaseException:
            self._clear(written.file)
            if data and filling:
                self._clear(data.file)
            raise
        if former:
            self._clear(former.metadata.file)
        return described

    def _clear(self, name: str) -> None:
        # What cannot be removed now is a leftover, and the next writer's to remove.
        with suppress(OSError):
            self.images.remove(name)
