"""The files of one entry, believed only where they are what the manifest says."""

from hashlib import sha512

from meltemi.errors import ArchiveError
from meltemi.libraries.archive import metadata
from meltemi.libraries.archive.entries import Entry
from meltemi.libraries.archive.files import Folder, shown
from meltemi.libraries.archive.metadata import Described


def describe(images: Folder, entry: Entry) -> Described:
    """Read an entry's metadata; raise ArchiveError where it is not what was written."""
    stored = entry.metadata
    where = shown(images.path / stored.file)
    raw = images.read(stored.file, min(stored.size, metadata.LIMIT))
    if len(raw) != stored.size or sha512(raw).hexdigest() != stored.sha512:
        raise ArchiveError(f"{where} was altered; restore it from another copy")
    try:
        image, members = metadata.decode(raw)
    except ValueError as error:
        raise ArchiveError(f"{where}: {error}; restore it from another copy") from error
    data = (entry.data.size, entry.data.sha512) if entry.data else (None, None)
    if (
        image.id != entry.id
        or image.has_data != bool(entry.data)
        or (image.size, image.hashes.value) != data
    ):
        raise ArchiveError(f"{where} and the manifest disagree; restore both from another copy")
    return image, members


def check_size(images: Folder, entry: Entry) -> None:
    """Raise ArchiveError where an entry's data is missing or has another size."""
    if entry.data is None:
        return
    size = images.size(entry.data.file)
    if size != entry.data.size:
        raise ArchiveError(
            f"{shown(images.path / entry.data.file)} has {size} bytes, the manifest says "
            f"{entry.data.size}; restore it from another copy"
        )
