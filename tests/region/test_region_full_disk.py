"""A disk that is full: an upload is refused as Glance refuses it, and all else goes on."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Region
from tests.support.glance import Place, RefusedError, some_data

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="A FULL DISK IS NOT TESTED: only root can mount a small file system"
)

SIZE = 48 * 2**20
SMALL = some_data(32, 2**20)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a small ext4."""
    place, device = tmp_path / "disk", tmp_path / "device"
    place.mkdir()
    with device.open("wb") as file:
        file.truncate(SIZE)
    make = ["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(device)]
    subprocess.run(make, check=True)
    mount = ["mount", "-o", "loop", str(device), str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("A FULL DISK IS NOT TESTED: nothing can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def region(tmp_path: Path, disk: Path) -> Iterator[Region]:
    """Give a region whose store is on the small disk."""
    index = f"sqlite:///{tmp_path / 'index.sqlite'}"
    settings = {"workers": 2, "store": str(disk / "store"), "index": index}
    (disk / "store").mkdir()
    with Region(tmp_path / "region", settings=settings) as server:
        yield server


def test_a_store_that_is_full(region: Region, disk: Path) -> None:
    place = Place(region.url)
    kept = place.put("kept", SMALL)
    queued = place.put("large", None)
    for _ in range(2):
        with pytest.raises(RefusedError) as told:
            place.upload(queued, some_data(31, 2 * SIZE))
        assert told.value.status == 503
        assert "Image storage media is full: There is not enough disk space" in str(told.value)
        assert str(disk) not in str(told.value)
        assert place.show(queued)["status"] == "queued"
        assert place.show(queued)["size"] is None
        assert place.data(queued) == b""
    assert place.data(kept) == SMALL
    assert place.put("queued as ever", None)
    assert re.search("its disk is full|No space left", region.log.read_text())


def test_a_full_disk_that_gets_room_again(region: Region, disk: Path) -> None:
    place = Place(region.url)
    queued = place.put("image", None)
    fill(disk / "filler")
    with pytest.raises(RefusedError, match="503"):
        place.upload(queued, SMALL)
    assert place.show(queued)["status"] == "queued"
    (disk / "filler").unlink()
    place.upload(queued, SMALL)
    assert place.data(queued) == SMALL


def test_a_catalogue_whose_disk_is_full(tmp_path: Path, disk: Path) -> None:
    settings = {"workers": 2, "database": f"sqlite:///{disk / 'catalogue.sqlite'}"}
    with Region(tmp_path / "region", settings=settings) as server:
        place = Place(server.url)
        made = [place.put("before", SMALL)]
        fill(disk / "filler")
        told = put_until_refused(place, made)
        assert told.status == 503
        assert "catalogue" not in str(told)
        assert place.data(made[0]) == SMALL
        (disk / "filler").unlink()
        made.append(place.put("after", SMALL))
        assert {one["id"] for one in place.images()} >= set(made)
        assert place.data(made[-1]) == SMALL


def test_copies_of_hot_images_leave_a_full_disk_alone(tmp_path: Path, disk: Path) -> None:
    settings = {"data": str(disk), "store": str(tmp_path / "store")}
    (tmp_path / "store").mkdir()
    settings["index"] = f"sqlite:///{tmp_path / 'index.sqlite'}"
    with Region(tmp_path / "region", settings=settings) as server:
        place = Place(server.url)
        data = some_data(31, SIZE - 8 * 2**20)
        image = place.put("image", data)
        for _ in range(4):
            assert place.data(image) == data
        server.stop()  # so that whatever was begun has ended
        assert list((disk / "hot" / "files").iterdir()) == []


def put_until_refused(place: Place, made: list[str]) -> RefusedError:
    """Make images, note which were, and give the first refusal."""
    while True:
        try:
            made.append(place.put("one more", None))
        except RefusedError as error:
            return error


def fill(path: Path) -> None:
    """Take all room."""
    try:
        with path.open("wb", 0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        return
