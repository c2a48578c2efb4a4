"""Three real Debian disks in an archive: each costs what is new in it."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from lab import images
from meltemi.libraries.archive.dedup.opening import open_dedup
from meltemi.libraries.base import Verifiable
from meltemi.model.image import Image
from tests.libraries.handling import MIB

# The first run on a machine builds the disks.
pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


async def test_three_generations_of_a_debian(tmp_path: Path) -> None:
    disks = images.generations()
    library = open_dedup(tmp_path / "vault", None, name="vault", writable=True)
    weights = [0]
    for disk in disks:
        image = await library.create(
            Image("", name=disk.stem, disk_format="raw", container_format="bare")
        )
        await library.upload(image.id, disk.stat().st_size, _content(disk))
        packs = (tmp_path / "vault").rglob("packs/*/*")
        weights.append(sum(path.stat().st_size for path in packs))
        assert isinstance(library, Verifiable)
        await library.verify(image.id)
    await library.close()
    golden, snapshot, rebuilt = (after - before for before, after in pairwise(weights))
    assert snapshot < golden / 2
    assert rebuilt < golden / 2


async def _content(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(MIB):
            yield block
