"""Disk images as builds make them: files among zeros, most of them the same from build to build."""

from collections.abc import Iterable
from functools import lru_cache
from random import Random
from typing import Final

KIB: Final = 2**10
MIB: Final = 2**20
_BLOCK: Final = 4 * KIB


@lru_cache(maxsize=1024)
def file(seed: int) -> bytes:
    """Give what is in a file: words, which compress to less than half."""
    chance = Random(seed)
    words = [chance.randbytes(4).hex() for _ in range(400)]
    text = " ".join(chance.choices(words, k=chance.randrange(2_000, 40_000))).encode()
    return text + chance.randbytes(len(text) // 8)


def disk(files: Iterable[int], mebibytes: int) -> bytes:
    """Give a disk with these files, each from a block on; what is left is zeros."""
    parts = []
    for seed in files:
        data = file(seed)
        parts.append(data + bytes(-len(data) % _BLOCK))
    data = b"".join(parts)
    return bytes(MIB) + data + bytes((mebibytes - 1) * MIB - len(data))


GOLDEN: Final = disk(range(60), 24)
BUILD: Final = disk([*range(20), *range(100, 106), *range(22, 60)], 24)
"""The next one, where six files took the place of two."""

LATER: Final = disk([*range(20), *range(100, 106), *range(22, 59), 200], 24)
"""One after that, where one file took the place of another."""
