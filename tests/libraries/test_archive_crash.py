"""Archives whose writer is killed: nothing acknowledged is lost, and the next run goes on."""

import itertools
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive import open_archive
from meltemi.libraries.base import Verifiable
from meltemi.model.image import Image
from tests.libraries import dumping
from tests.libraries.dumping import DATA, DELETED, IMAGES, MEMBER
from tests.libraries.handling import content, listed, pieces

Acknowledged = set[tuple[str, str]]

# Its children are forked from a process that has everything imported and no threads.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.libraries.dumping"])


def run(
    folder: Path, *, die_at: int = 0, kill_after: int | None = None, at_once: int = 1
) -> Acknowledged:
    """Dump in a process that dies at a change, or is killed after so many acknowledgements."""
    ours, theirs = _context.Pipe()
    child = _context.Process(target=dumping.process, args=(folder, die_at, at_once, theirs))
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


def ids(seen: Acknowledged, what: str) -> set[str]:
    return {image_id for done, image_id in seen if done == what}


async def check(folder: Path, seen: Acknowledged) -> dict[str, Image]:
    """Hold an archive as it lies there to everything that was acknowledged."""
    if not seen and not (folder / "manifest.jsonl").exists():
        with pytest.raises((ArchiveError, UsageError)):
            open_archive(folder, name="source", writable=False)
        return {}
    library = open_archive(folder, name="source", writable=False)
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


async def finish(folder: Path, seen: Acknowledged) -> Acknowledged:
    """Let the next run go on to the end, and hold the archive to the whole."""
    again: Acknowledged = set()
    await dumping.dump(folder, lambda what, which: again.add((what, which)))
    found = await check(folder, seen | again)
    kept = [wanted for number, wanted in enumerate(IMAGES) if number != DELETED]
    assert [image.name for image in found.values()] == [wanted.name for wanted in kept]
    assert all(image.status == "active" for image in found.values())
    files = {path.name for path in (folder / "images").iterdir()}
    assert len(files) == 2 * len(kept)
    assert not any(name.endswith(".part") for name in files)
    assert not ids(again, "fetching") & ids(seen, "filled")
    return again


async def test_killed_at_any_change(tmp_path: Path) -> None:
    kept: Acknowledged = set()
    # Every change to the first image and samples of the rest, which only repeat them.
    for number in itertools.chain(range(1, 55), itertools.count(55, 7)):
        folder = tmp_path / str(number)
        seen = run(folder, die_at=number)
        if ("done", "") in seen:
            break
        try:
            await check(folder, seen)
            again = await finish(folder, seen)
        except AssertionError as error:
            error.add_note(f"killed at change {number}, after {sorted(seen)}")
            raise
        kept |= {("kept", image_id) for image_id in ids(seen, "fetching") - ids(again, "fetching")}
        shutil.rmtree(folder)
    assert number > 100
    # Some were killed between the last byte and the manifest: nobody fetched their data twice.
    assert ids(kept, "kept")


@pytest.mark.parametrize("seed", range(4))
async def test_killed_again_and_again(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    folder = tmp_path / "archive"
    seen: Acknowledged = set()
    while ("done", "") not in seen:
        seen |= run(folder, die_at=random.randint(5, 60), at_once=random.choice([1, 4]))
        await check(folder, seen)
    await finish(folder, seen)


@pytest.mark.parametrize("seed", range(20))
async def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "archive"
    seen = run(folder, kill_after=Random(seed).randint(0, 24), at_once=4)
    await check(folder, seen)
    await finish(folder, seen)


async def test_data_is_only_kept_where_its_hash_proves_it(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    number = 0
    while not (folder / "images" / f"{IMAGES[0].id}.2.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(folder, die_at=(number := number + 1))
    part = folder / "images" / f"{IMAGES[0].id}.part"
    assert part.read_bytes() == DATA[0]
    part.write_bytes(DATA[0][:-1] + bytes([DATA[0][-1] ^ 1]))
    library = open_archive(folder, name="target", writable=True)
    assert [image.status for image in await listed(library)] == ["queued"]
    assert not part.exists()
    await library.upload(IMAGES[0].id, len(DATA[0]), pieces(DATA[0]))
    assert await content(library, IMAGES[0].id) == DATA[0]
    await library.close()


async def test_everything_is_on_the_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk()
    for name in ("write", "pwrite", "fsync", "rename"):
        monkeypatch.setattr(os, name, disk.watching(name, getattr(os, name)))
    await dumping.dump(tmp_path / "archive", lambda *_: disk.expect_clean())
    assert disk.renamed > len(IMAGES)


class Disk:
    """What a loss of power could take: written and not synced, renamed and not synced."""

    def __init__(self) -> None:
        self.volatile: set[str] = set()
        self.renamed = 0

    def watching(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap one of the system's functions."""

        def call(*args: Any, **kwargs: Any) -> Any:
            getattr(self, name)(*args, **kwargs)
            return real(*args, **kwargs)

        return call

    def expect_clean(self) -> None:
        """Assert that a loss of power would take nothing."""
        assert not self.volatile

    def write(self, fd: int, _: object) -> None:
        """Note a write to a file."""
        if (path := where(fd)).startswith("/"):
            self.volatile.add(path)

    def pwrite(self, fd: int, _: object, __: int) -> None:
        """Note a write to the manifest, which must not be ahead of what it lists."""
        self.volatile.discard(where(fd))
        self.expect_clean()
        self.volatile.add(where(fd))

    def fsync(self, fd: int) -> None:
        """Note that a file, or the names in a folder, last."""
        self.volatile.discard(where(fd))

    def rename(self, old: str, _: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """Note that a file gets its name, which it must not before its content lasts."""
        folder = where(src_dir_fd)
        assert f"{folder}/{old}" not in self.volatile
        self.volatile.add(where(dst_dir_fd))
        self.renamed += 1


def where(fd: int) -> str:
    """Give the path of an open file."""
    return str(Path(f"/proc/self/fd/{fd}").readlink())
