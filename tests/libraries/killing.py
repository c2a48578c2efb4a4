"""Archives whose writer is killed: what must be true of them, for tests of every kind."""

import signal
from contextlib import suppress
from pathlib import Path

import pytest

from meltemi.chunks.opening import open_store
from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive import open_any
from meltemi.libraries.base import Library, Verifiable
from meltemi.model.image import Image
from tests.libraries import dumping
from tests.libraries.dumping import DATA, DELETED, IMAGES, MEMBER
from tests.libraries.handling import content, listed
from tests.support.forking import FORKING

Acknowledged = set[tuple[str, str]]


def run(
    folder: Path,
    *,
    die_at: int = 0,
    kill_after: int | None = None,
    at_once: int = 1,
    dedup: bool = False,
) -> Acknowledged:
    """Dump in a process that dies at a change, or is killed after so many acknowledgements."""
    ours, theirs = FORKING.Pipe()
    child = FORKING.Process(target=dumping.process, args=(folder, die_at, at_once, dedup, theirs))
    child.start()
    theirs.close()
    seen: Acknowledged = set()
    with ours, suppress(EOFError):
        while True:
            if kill_after is not None and len(seen) >= kill_after:
                child.kill()
            seen.add(ours.recv())
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    child.close()
    return seen


def opened(folder: Path) -> Library:
    """Open an archive as a source."""
    return open_any(folder, name="source", writable=False, may_be_absent=False)


def ids(seen: Acknowledged, what: str) -> set[str]:
    return {image_id for done, image_id in seen if done == what}


async def check(folder: Path, seen: Acknowledged) -> dict[str, Image]:
    """Hold an archive as it lies there to everything that was acknowledged."""
    begun = (folder / "manifest.jsonl", folder / "archive.json")
    if not seen and not any(path.exists() for path in begun):
        with pytest.raises((ArchiveError, UsageError)):
            opened(folder)
        return {}
    library = opened(folder)
    assert isinstance(library, Verifiable)
    found = {image.id: image for image in await listed(library)}
    for number, wanted in enumerate(IMAGES):
        image = found.get(wanted.id)
        if image and image.has_data:
            assert await content(library, image.id) == DATA[number]
            assert image.size == len(DATA[number])
            await library.verify(image.id)
        elif image:
            assert image.status == "queued"
            assert image.size is None
        if wanted.id in ids(seen, "deleting"):
            continue
        assert image or wanted.id not in ids(seen, "created")
        assert (image and image.has_data) or wanted.id not in ids(seen, "filled")
        if wanted.id in ids(seen, "named"):
            assert image
            assert image.name == wanted.name
        if wanted.id in ids(seen, "shared"):
            assert await library.list_members(wanted.id) == (MEMBER,)
    assert not ids(seen, "deleted") & set(found)
    await library.close()
    return found


async def finish(folder: Path, seen: Acknowledged, *, dedup: bool = False) -> Acknowledged:
    """Let the next run go on to the end, and hold the archive to the whole."""
    again: Acknowledged = set()
    await dumping.dump(folder, lambda what, which: again.add((what, which)), dedup=dedup)
    found = await check(folder, seen | again)
    kept = [wanted for number, wanted in enumerate(IMAGES) if number != DELETED]
    assert [image.name for image in found.values()] == [wanted.name for wanted in kept]
    assert all(image.status == "active" for image in found.values())
    files = {path.name for path in (folder / "images").iterdir()}
    if dedup:
        assert sorted(name.split(".")[0] for name in files) == [wanted.id for wanted in IMAGES]
        store = open_store(str(folder))
        assert len(store.heads.all()) == len(kept)
        store.close()
    else:
        assert len(files) == 2 * len(kept)
        assert not any(name.endswith(".part") for name in files)
    assert not ids(again, "fetching") & ids(seen, "filled")
    return again
