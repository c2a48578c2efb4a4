"""A disk that is full: a put fails with one line, nothing of it stays, and room makes all well."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.opening import open_store
from meltemi.errors import MeltemiError, QuotaError, StoreError, VanishedError
from tests.chunks.faults.rig import Rig, see_nothing_behind


@pytest.fixture(params=["ext4 in a file", "tmpfs"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 4 MiB."""
    if os.geteuid():
        pytest.skip("A FULL DISK IS NOT TESTED: only root can mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)]
    if request.param != "tmpfs":
        device = tmp_path / "device"
        with device.open("wb") as file:
            file.truncate(4 * 2**20)
        make = ["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(device)]
        subprocess.run(make, check=True)
        command = ["mount", "-o", "loop", str(device), str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"A FULL DISK IS NOT TESTED: no {request.param} can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Take the room on a disk, but for a few bytes."""
    room = os.statvfs(disk)
    path = disk / "filler"
    size = max(0, room.f_bavail * room.f_frsize - leave)
    # What the file system writes down about a file takes room, too.
    with suppress(OSError), path.open("wb", 0) as file:
        while size > 0:
            size -= file.write(bytes(min(size, 1024)))
        os.fsync(file.fileno())
    return path


def fails(rig: Rig, name: str, *numbers: int) -> None:
    """See that a put fails with one line, and that nothing of it can be seen."""
    with pytest.raises(MeltemiError) as told:
        rig.put(name, *numbers)
    assert isinstance(told.value, QuotaError | StoreError)
    assert "\n" not in str(told.value)
    with pytest.raises(VanishedError):
        rig.store.head(name)
    rig.see_all()


def test_no_room_for_packs(small_disk: Path, tmp_path: Path) -> None:
    index = f"sqlite:///{tmp_path / 'index.sqlite'}"
    rig = Rig(open_store(str(small_disk / "store"), index, create=True))
    rig.put("one", *range(16))
    fails(rig, "large", *range(10, 90))
    assert check(rig.store).problems == []
    rig.collect()
    see_nothing_behind(rig.store)
    rig.put("two", *range(8, 30))
    rig.see_clean()
    rig.store.close()


def test_what_is_dead_makes_room_on_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    """Where there is no room to rewrite anything, what is wholly dead goes all the same."""
    index = f"sqlite:///{tmp_path / 'index.sqlite'}"
    rig = Rig(open_store(str(small_disk / "store"), index, create=True))
    rig.put("dead", 100, 101)
    rig.put("half", *range(12))
    rig.put("kept", *range(6))
    rig.remove("dead")
    rig.remove("half")
    filler = fill(small_disk, 0)
    with pytest.raises(QuotaError):
        collect(rig.store)
    assert os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize >= 100_000
    rig.see_all()
    filler.unlink()
    rig.see_clean()
    rig.store.close()


@pytest.mark.parametrize("leave", [0, 4096, 40_000, 100_000])
def test_no_room_for_the_index(small_disk: Path, tmp_path: Path, leave: int) -> None:
    index = f"sqlite:///{small_disk / 'index.sqlite'}"
    rig = Rig(open_store(str(tmp_path / "store"), index, create=True))
    rig.put("one", 1, 2, 3)
    filler = fill(small_disk, leave)
    for number in range(40):
        try:
            rig.put(f"more {number}", 1, number)
        except MeltemiError as error:
            assert "\n" not in str(error)  # noqa: PT017 - it fails sooner or later
            break
    else:
        pytest.fail("there was room for all")
    rig.see_all()
    filler.unlink()
    with rig.sql() as connection:
        connection.exec_driver_sql("UPDATE sessions SET seen = 0")
    rig.put("two", 2, 3, 4)
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr("meltemi.chunks.session.BEAT_SECONDS", 0.01)
        collect(rig.store)
    rig.see_clean()
    rig.store.close()


def test_a_store_with_its_index_on_a_full_disk(small_disk: Path) -> None:
    """SQLite needs some room to open it; what it lacks is named, and a little room is enough."""
    folder = str(small_disk / "store")
    rig = Rig(open_store(folder, create=True))
    rig.put("one", 1, 2, 3)
    rig.put("dead", 4, 5, 6)
    rig.store.close()
    spare = small_disk / "spare"
    spare.write_bytes(bytes(300_000))
    filler = fill(small_disk, 0)
    with pytest.raises(QuotaError, match=r"its disk is full.*make room there"):
        open_store(folder)
    spare.unlink()
    full = Rig(open_store(folder))
    full.truth = rig.truth
    full.see_all()
    full.remove("dead")
    full.see_clean()
    filler.unlink()
    full.store.close()
