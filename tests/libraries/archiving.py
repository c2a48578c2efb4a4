"""Archives in the hands of tests: how they are written, read, and looked into."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from meltemi.libraries.archive import open_archive
from meltemi.model.image import Image
from tests.libraries.handling import DATA, listed, pieces

ID = "11111111-2222-4333-8444-555555555555"


def image(**attributes: Any) -> Image:
    return replace(
        Image(ID, name="one", disk_format="qcow2", container_format="bare"), **attributes
    )


async def dumped(folder: Path, data: bytes = DATA, **attributes: Any) -> Image:
    """Write one image to an archive, and let go of it."""
    library = open_archive(folder, name="target", writable=True)
    made = await library.create(image(**attributes))
    await library.upload(made.id, len(data), pieces(data))
    made = await library.show(made.id)
    await library.close()
    return made


async def loaded(folder: Path) -> list[Image]:
    """Read an archive's list, and let go of it."""
    library = open_archive(folder, name="source", writable=False)
    try:
        return await listed(library)
    finally:
        await library.close()


def manifest(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "images").iterdir())
