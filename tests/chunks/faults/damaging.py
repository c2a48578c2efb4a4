"""Damage to a small store, and what is told of it."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from meltemi.chunks.pack import pack_object
from meltemi.errors import MeltemiError
from tests.chunks.faults.rig import Rig

IMAGES: Final = {"one": (1, 2, 3), "two": (3, 4), "three": (5,), "empty": ()}
"""The images of `filled`, and the blocks of each."""


def flip(path: Path, chance: Random, begin: int, end: int) -> None:
    """Flip one bit somewhere in a part of a file."""
    data = bytearray(path.read_bytes())
    data[chance.randrange(begin, end)] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def path_of(tmp_path: Path, pack: str) -> Path:
    """Say where a pack's file is."""
    return tmp_path / "store" / pack_object(pack)


def complaint(act: Callable[[], object]) -> str:
    """Do something; give the line that it ends with where it fails."""
    try:
        act()
    except MeltemiError as error:
        assert "\n" not in str(error)  # noqa: PT017 - it may fail or not
        return str(error)
    return ""


def read_all(rig: Rig) -> dict[str, str]:
    """Read every image: each is exact, or said to be damaged; give those lines by name."""
    told = {}
    for name, data in rig.truth.items():
        found: list[bytes] = []
        if line := complaint(lambda name=name, found=found: found.append(rig.read(name))):  # type: ignore[misc]
            told[name] = line
        else:
            assert found == [data]
    return told


def put_again(rig: Rig) -> None:
    """Bring all data once more, as images of other names that are taken away again."""
    for name, numbers in IMAGES.items():
        rig.put(f"{name} again", *numbers)
    for name in IMAGES:
        rig.remove(f"{name} again")
