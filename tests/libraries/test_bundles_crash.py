"""Bundles whose maker or whose taker is killed, or finds no room: what is there is whole."""

import itertools
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from meltemi.errors import QuotaError
from tests.libraries import carrying
from tests.libraries.archiving import ID, image
from tests.libraries.carrying import apply, make, names, seen, sound, state_of, writing
from tests.libraries.handling import DATA, MIB, listed, pieces
from tests.support.forking import FORKING

OTHER = ID.replace("1", "2")


@pytest.fixture
async def near(tmp_path: Path) -> Path:
    """Give an archive of two images, one without data."""
    folder = tmp_path / "near"
    library = writing(folder)
    await library.create(image())
    await library.upload(ID, len(DATA), pieces(DATA))
    await library.create(image(id=OTHER, name="queued"))
    await library.close()
    return folder


def done(what: str, *paths: Path, die_at: int) -> bool:
    """Make or apply in a process that dies at a change; say whether it lived."""
    ours, theirs = FORKING.Pipe()
    child = FORKING.Process(target=carrying.process, args=(what, paths, die_at, theirs))
    child.start()
    theirs.close()
    lived = False
    with ours, suppress(EOFError):
        lived = ours.recv() == "done"
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    child.close()
    return lived


async def test_killed_while_a_set_is_applied(near: Path, tmp_path: Path) -> None:
    """A new image, and one that is here without its data: both as before, or both as there."""
    made = make(near, tmp_path / "disk")
    begun = tmp_path / "begun"
    library = writing(begun)
    await library.create(image(name="not yet"))
    await library.close()
    before, after = await seen(begun), await seen(near)
    assert before[ID][0].status == "queued"
    was_before = 0
    for number in itertools.count(1, 2):
        far = shutil.copytree(begun, tmp_path / str(number))
        # Versions of its own, so that those of the set are newer.
        assert state_of(far).images[ID].version == 1
        if done("apply", made.path, far, die_at=number):
            break
        found = await seen(far)
        was_before += found == before
        assert found in (before, after), f"killed at change {number}"
        await tidied(far)
        assert await seen(far) == found
        apply(made.path, far)
        assert await seen(far) == after
        await tidied(far)
        assert sound(far)
        documents = [name for name in names(far) if name.startswith((ID, OTHER))]
        assert len(documents) == len(after)
        shutil.rmtree(far)
    assert was_before > 10


async def tidied(far: Path) -> None:
    """Let a writer clear away what the dead have left."""
    library = writing(far)
    await listed(library)
    await library.close()


async def test_killed_while_a_set_is_made(near: Path, tmp_path: Path) -> None:
    for number in itertools.count(1, 2):
        disk = tmp_path / str(number)
        lived = done("make", near, disk, die_at=number)
        sets = [name for name in names(disk) if name.endswith(".set")]
        assert len(sets) == lived or not lived
        for name in sets:  # where there is one, all of it is there
            far = tmp_path / f"far {number}"
            apply(disk / name, far)
            assert await seen(far) == await seen(near)
        if lived:
            break
    assert number > 10


def enlarge(small: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=16m", str(small)], check=True)


async def test_a_full_disk_takes_no_set(near: Path, small: Path) -> None:
    (small / "ballast").write_bytes(bytes(2 * MIB))
    with pytest.raises(QuotaError, match="no space left"):
        make(near, small / "disk")
    assert names(small / "disk") == []


async def test_a_set_that_finds_no_room_does_not_count(
    near: Path, small: Path, tmp_path: Path
) -> None:
    made = make(near, tmp_path / "disk")
    far = small / "far"
    (small / "ballast").write_bytes(bytes(2 * MIB))
    library = writing(far)
    await library.create(image(id=OTHER.replace("2", "3")))
    await library.close()
    before = await seen(far)
    with pytest.raises(QuotaError):
        apply(made.path, far)
    assert await seen(far) == before
    enlarge(small)
    apply(made.path, far)
    assert await seen(far) == {**before, **await seen(near)}
