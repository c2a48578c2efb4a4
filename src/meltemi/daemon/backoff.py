"""How long to wait after failures: longer each time, and not all at the same moment."""

import random
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from the `first` wait to the `longest`, in seconds."""

    first: float
    longest: float

    def after(self, failures: int) -> float:
        """Give a wait after so many failures in a row: between half and all of what it may be."""
        most = min(self.first * 2.0 ** min(failures - 1, 32), self.longest)
        return most * random.uniform(0.5, 1.0)  # noqa: S311 - nobody gains by guessing it


OF_LIBRARIES: Final = Backoff(first=2.0, longest=300.0)
OF_IMAGES: Final = Backoff(first=15.0, longest=3600.0)
OF_BUSY: Final = Backoff(first=60.0, longest=300.0)
"""For images that somebody else is at work on."""
