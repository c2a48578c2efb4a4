"""Archives on full disks: nothing is lost, and nothing half written stays."""

import errno
import os
from pathlib import Path

import pytest

from meltemi.errors import QuotaError
from meltemi.libraries.archive import open_archive
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import Image
from tests.libraries.archiving import ID, dumped, image, loaded, names
from tests.libraries.handling import DATA, content, listed, pieces


async def test_a_full_disk_loses_nothing(small: Path) -> None:
    folder = small / "archive"
    first = await dumped(folder)
    library = open_archive(folder, name="target", writable=True)
    second = await library.create(image(id=""))
    with pytest.raises(QuotaError, match=str(folder)):
        await library.upload(second.id, len(DATA), pieces(DATA))
    assert await library.show(second.id) == second
    assert not list((folder / "images").glob("*.part"))
    await library.upload(second.id, 5, pieces(DATA[:5]))
    assert await content(library, first.id) == DATA
    assert await content(library, second.id) == DATA[:5]
    await library.close()
    assert len(await loaded(folder)) == 2


async def test_a_disk_full_of_metadata_loses_nothing(small: Path) -> None:
    folder = small / "archive"
    library = open_archive(folder, name="target", writable=True)
    made: list[Image] = []

    async def create_many() -> None:
        for _ in range(5000):
            made.append(await library.create(image(id="")))  # noqa: PERF401 - some are made

    with pytest.raises(QuotaError, match=str(folder)):
        await create_many()
    with pytest.raises(QuotaError):
        await library.update(made[0].id, Changes({"big": "x" * 65536}))
    expected = sorted(made, key=lambda image: image.id)
    assert await listed(library) == expected
    await library.delete(made[0].id)
    await library.close()
    assert await loaded(folder) == [image for image in expected if image.id != made[0].id]


async def test_a_manifest_that_cannot_be_written_takes_the_image_back(
    folder: Path, archive: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive.create(image())
    pwrite = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if len(data) < 30:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(fd, data[:-29], offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(QuotaError, match="manifest"):
        await archive.upload(ID, len(DATA), pieces(DATA))
    with pytest.raises(QuotaError, match="manifest"):
        await archive.delete(ID)
    monkeypatch.undo()
    assert names(folder) == [f"{ID}.1.json"]
    assert (await archive.show(ID)).status == "queued"
    assert (folder / "manifest.jsonl").read_bytes().endswith(b"\n")
    await archive.upload(ID, len(DATA), pieces(DATA))
    assert await content(archive, ID) == DATA
