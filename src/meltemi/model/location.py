"""Locations: URLs by which services of a cloud tell each other where an image's data lies.

A region's own name a store and the hash of the data, as `meltemi://chunks/sha512/…`. That is
nothing that the image does not show anyway: who knows one knows no more than before, and it stays
what it is for as long as the data does.
"""

import re
from typing import Final

from meltemi.model.image import Hashes

_OWN: Final = re.compile(r"meltemi://([a-z]+)/([a-z0-9_]+)/([0-9a-f]+)")


def location_of(store: str, hashes: Hashes) -> str:
    """Name data in a store."""
    return f"meltemi://{store}/{hashes.algorithm}/{hashes.value}"


def parse_location(store: str, url: str) -> Hashes | None:
    """Give the hash of the data in a store that a URL names; None where it names something else."""
    found = _OWN.fullmatch(url)
    return Hashes(None, found[2], found[3]) if found and found[1] == store else None
