"""Files to measure with."""

import os
from collections.abc import Iterator
from pathlib import Path

from bench.figures import MIB


def random_file(path: Path, size: int) -> Path:
    """Write random bytes that no safety check takes for a boot sector, and read them once."""
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            block = bytearray(os.urandom(min(MIB, size - start)))
            block[510:512] = b"\0\0"
            file.write(block)
    return warm(path)


def warm(path: Path) -> Path:
    """Read a file so that it lies in memory."""
    for _ in pieces(path):
        pass
    return path


def pieces(path: Path, size: int = MIB) -> Iterator[bytes]:
    """Read a file in pieces."""
    with path.open("rb", 0) as file:
        while piece := file.read(size):
            yield piece
