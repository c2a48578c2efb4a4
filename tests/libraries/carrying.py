"""Deduplicated archives in the hands of tests: changed, bundled, carried, compared."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from meltemi.chunks.checking import check
from meltemi.chunks.opening import open_store
from meltemi.libraries.archive.bundles import applying, making
from meltemi.libraries.archive.bundles.applying import Applied
from meltemi.libraries.archive.bundles.making import Made
from meltemi.libraries.archive.bundles.manifest import Base, SetManifest
from meltemi.libraries.archive.bundles.reading import open_set
from meltemi.libraries.archive.bundles.records import Record
from meltemi.libraries.archive.bundles.sealing import write_file
from meltemi.libraries.archive.bundles.state import State
from meltemi.libraries.archive.bundles.writing import BundleWriter
from meltemi.libraries.archive.dedup.contents import Contents
from meltemi.libraries.archive.dedup.opening import open_contents, open_dedup
from meltemi.libraries.base import Library
from meltemi.model.image import Image, Member
from tests.libraries.dumping import die_at
from tests.libraries.handling import MIB, content, listed

SIZE = 2 * MIB
FORGED = "20261126t120000z-0123456789abcdef"

Seen = dict[str, tuple[Image, tuple[Member, ...], bytes | None]]


def writing(folder: Path) -> Library:
    """Open an archive to be written; it is made where it is not there."""
    return open_dedup(folder, None, name=folder.name, writable=True)


@contextmanager
def contents_of(folder: Path) -> Iterator[Contents]:
    """Open what an archive holds."""
    with ExitStack() as held:
        yield open_contents(folder, None, held, writable=False)


def make(near: Path, folder: Path, since: State | None = None, **how: Any) -> Made:
    """Make a set of what is lacking."""
    with contents_of(near) as contents:
        made = making.make(
            contents, folder, how.get("size", SIZE), since or State(), how.get("key")
        )
    assert made is not None
    return made


def state_of(folder: Path) -> State:
    """Say what an archive has."""
    with contents_of(folder) as contents:
        return making.state_of(contents)


def apply(path: Path, far: Path, key: Any = None) -> Applied | None:
    """Apply a set, given by the file that binds it together."""
    with closing(open_set(path, key)) as bundles:
        return applying.apply(bundles, far, None)


def bundles_of(made: Made) -> list[Path]:
    """Give the files of a set's bundles, in order."""
    return sorted(made.path.parent.glob(f"{made.path.stem}.*.bundle"))


async def seen(folder: Path) -> Seen:
    """Read all that an archive gives, the data too."""
    library = open_dedup(folder, None, name=folder.name, writable=False)
    try:
        return {
            image.id: (
                image,
                await library.list_members(image.id),
                await content(library, image.id) if image.has_data else None,
            )
            for image in await listed(library)
        }
    finally:
        await library.close()


def names(folder: Path) -> list[str]:
    """Name what there is, what only SQLite knows of aside."""
    found = folder.rglob("*") if folder.exists() else ()
    return sorted(path.name for path in found if "sqlite-" not in path.name)


def sound(folder: Path) -> bool:
    """Say whether a chunk store finds itself whole."""
    store = open_store(str(folder))
    try:
        return check(store).problems == []
    finally:
        store.close()


def forge(folder: Path, records: Sequence[Record], bases: Sequence[Base] = ()) -> Path:
    """Make a set of any records, that holds together as far as hashes go."""
    folder.mkdir()
    with closing(BundleWriter(folder, FORGED, 64 * MIB)) as out:
        for record in records:
            out.add(record)
        parts = out.finish()
        out.keep()
    path = folder / f"{FORGED}.set"
    write_file(path, SetManifest(FORGED, parts, bases).encode())
    return path


def process(what: str, paths: Sequence[Path], count: int, pipe: Connection) -> None:
    """Make or apply a set in a process of its own, which dies at its `count`-th change."""
    die_at(count)
    if what == "make":
        make(paths[0], paths[1])
    else:
        apply(*paths)
    pipe.send("done")
