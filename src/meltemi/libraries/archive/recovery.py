"""Leftovers: what a killed writer left in the folder of images, and what becomes of it."""

from hashlib import sha512
from logging import getLogger

from meltemi.errors import ArchiveError
from meltemi.libraries.archive import layout, metadata
from meltemi.libraries.archive.data import hashed
from meltemi.libraries.archive.entries import Entry, Stored
from meltemi.libraries.archive.files import PART, Folder, failing, shown
from meltemi.libraries.archive.layout import MANIFEST, Kind, Name
from meltemi.libraries.archive.manifest import Manifest

_log = getLogger(__name__)


def leftovers(images: Folder, manifest: Manifest) -> set[str]:
    """Give the files a killed writer left; raise ArchiveError at one that none can have left.

    Files whose names mean nothing in an archive are nobody's business here.
    """
    left = set()
    for text in images.names():
        name = layout.parse(text)
        if name is None or _listed(text, name, manifest):
            continue
        if not _explained(name, manifest):
            raise ArchiveError(
                f"{shown(images.path / text)} is not in the manifest, which must have lost lines; "
                f"restore {MANIFEST} from another copy, or move the file away"
            )
        left.add(text)
    return left


def recover(images: Folder, manifest: Manifest, left: set[str]) -> None:
    """Finish what only lacked its line in the manifest; clear the other leftovers away."""
    for text in sorted(left):
        name = layout.parse(text)
        entry = manifest.entries.get(name.image_id) if name else None
        if name and entry and entry.data is None and name.version == entry.version + 1:
            _adopt(images, manifest, entry, text, left)
    with failing(images.path):
        for text in leftovers(images, manifest):
            images.remove(text)
        images.remove(f"{MANIFEST}{PART}")


def _listed(text: str, name: Name, manifest: Manifest) -> bool:
    entry = manifest.entries.get(name.image_id)
    if entry is None:
        return False
    return text == entry.metadata.file or (entry.data is not None and text == entry.data.file)


def _explained(name: Name, manifest: Manifest) -> bool:
    """Say whether the order of writing leaves such a file when it is cut off somewhere."""
    if name.kind is Kind.PART or name.image_id in manifest.deleted:
        return True
    entry = manifest.entries.get(name.image_id)
    if name.kind is Kind.DATA:
        return entry is not None and entry.data is None
    return name.version <= (entry.version if entry else 0) + 1


def _adopt(images: Folder, manifest: Manifest, entry: Entry, text: str, left: set[str]) -> None:
    """Make data complete that has its metadata, where its hashes prove that it is the data."""
    raw = images.read(text, metadata.LIMIT)
    try:
        image, _ = metadata.decode(raw)
    except ValueError:
        return
    data = layout.data_name(entry.id, image.disk_format)
    part = layout.part_name(entry.id)
    found = data if data in left else part
    if image.id != entry.id or image.status != "active" or found not in left:
        return
    if (image.size, image.hashes) != hashed(images, found):
        return
    with failing(images.path / found):
        images.rename(found, data)
    images.sync()
    size, value = image.size or 0, image.hashes.value or ""
    written = Stored(text, len(raw), sha512(raw).hexdigest())
    manifest.put(Entry(entry.id, written, Stored(data, size, value)))
    _log.info("image %s: its data was complete and is kept", image.label)
