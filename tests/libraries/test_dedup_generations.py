"""Three real Debian disks in an archive, and carried to another: each costs what is new in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab import images
from meltemi.libraries.archive.bundles.state import State, read_state
from meltemi.libraries.base import Verifiable
from meltemi.model.image import Image
from tests.libraries.carrying import apply, make, writing
from tests.libraries.handling import MIB

# The first run on a machine builds the disks.
pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


async def test_three_generations_of_a_debian(tmp_path: Path) -> None:
    near, far, disk = tmp_path / "near", tmp_path / "far", tmp_path / "disk"
    since = State()
    kept, carried = [], []
    for generation in images.generations():
        before = weight(near)
        library = writing(near)
        image = await library.create(
            Image("", name=generation.stem, disk_format="raw", container_format="bare")
        )
        await library.upload(image.id, generation.stat().st_size, _content(generation))
        await library.close()
        kept.append(weight(near) - before)
        made = make(near, disk, since, size=100 * MIB)
        assert max(path.stat().st_size for path in disk.glob("*.bundle")) <= 100 * MIB
        carried.append(made.size)
        apply(made.path, far)
        since = read_state(made.path.with_suffix(".state"))
    golden, *later = kept
    # 0.376 and 0.365 where these disks were first built, of 168 MiB for 3 GiB.
    assert max(later) < 0.45 * golden
    assert all(there < 1.01 * here for here, there in zip(kept, carried, strict=True))
    library = writing(far)
    assert isinstance(library, Verifiable)
    for image_id in since.images:
        await library.verify(image_id)
    await library.close()


def weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("packs/*/*"))


async def _content(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(MIB):
            yield block
