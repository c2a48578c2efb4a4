"""How much is measured of the chunk store, and where."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.figures import GIB, MIB
from bench.files import warm
from lab import images

_NAMES = ("golden image", "snapshot", "next build")


@dataclass(frozen=True)
class Scale:
    """Bytes, counts and runs."""

    image: int | None = None
    """Bytes taken of each disk image; None for all."""
    random: int = GIB
    wide: int = 100 * GIB
    ranges: int = 300
    rows: tuple[int, ...] = (1_000_000, 10_000_000)
    looked_up: int = 200_000
    chunks: tuple[int, int] = (100_000, 1_000_000)
    huge: tuple[int, int] = (GIB, 10 * GIB)
    patches: int = 400
    runs: int = 3


QUICK = Scale(
    image=128 * MIB,
    random=64 * MIB,
    wide=GIB,
    ranges=20,
    rows=(10_000, 30_000),
    looked_up=10_000,
    chunks=(2_000, 8_000),
    huge=(64 * MIB, 128 * MIB),
    patches=20,
    runs=1,
)


class Bench:
    """A folder to work in, and the disk images, read once so that no run waits for the disk."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        self.folder = folder
        self.scale = scale

    @cached_property
    def images(self) -> dict[str, Path]:
        """Give the disk images by their names."""
        found = dict(zip(_NAMES, images.generations(), strict=True))
        if self.scale.image is not None:
            for number, (name, path) in enumerate(found.items()):
                part = self.folder / f"image{number}.raw"
                with path.open("rb") as whole, part.open("wb") as file:
                    whole.seek(MIB)  # what a partition begins with
                    file.write(whole.read(self.scale.image))
                found[name] = part
        for path in found.values():
            warm(path)
        return found

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Give an empty folder for a while."""
        path = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            yield path
        finally:
            shutil.rmtree(path)
