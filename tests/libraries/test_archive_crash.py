"""Archives whose writer is killed: nothing acknowledged is lost, and the next run goes on."""

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from meltemi.libraries.archive import open_archive
from tests.libraries import dumping
from tests.libraries.dumping import DATA, IMAGES
from tests.libraries.handling import content, listed, pieces
from tests.libraries.killing import Acknowledged, check, finish, ids, run


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
