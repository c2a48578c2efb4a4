"""How much is measured."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Scale:
    """Images in each library, and how often each measurement is made.

    So many images are `told` of, one by one, and then some `together`.
    """

    images: int = 10_000
    runs: int = 5
    told: int = 60
    together: int = 20


QUICK: Final = Scale(images=300, runs=2, told=10, together=5)
