"""How much is measured."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Scale:
    """Images in each library, and how often each measurement is made.

    So many images are `told` of, one by one, and then some `together`. The status of so many is
    `shown`, in so many `libraries`, and it is `asked` for that often. So many are `changed` a
    second, while so many `watch`, for some `seconds` at a time.
    """

    images: int = 10_000
    runs: int = 5
    told: int = 60
    together: int = 20
    shown: int = 1_000
    libraries: int = 10
    asked: int = 15
    changed: int = 4
    watch: int = 50
    seconds: int = 20


QUICK: Final = Scale(
    images=300,
    runs=2,
    told=10,
    together=5,
    shown=100,
    libraries=2,
    asked=3,
    watch=5,
    seconds=3,
)
