"""How much is measured of the daemon."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How much is measured: images that are told of, how many at once, and those that are there."""

    told: int = 60
    together: int = 20
    there: int = 1000


QUICK = Scale(10, 5, 20)
