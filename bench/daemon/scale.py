"""How much is measured."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Scale:
    """Images in each library, and how often each measurement is made."""

    images: int = 10_000
    runs: int = 5


QUICK: Final = Scale(images=300, runs=2)
