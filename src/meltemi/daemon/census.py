"""How many placements there are, kept as they change: nobody has to look at all of them."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from meltemi.model.placement import Observed, Place, Placement


class Way(NamedTuple):
    """The way of a route's images to one of its targets."""

    route: str
    library: str


@dataclass(slots=True)
class Population:
    """How many images are observed how, and since when those are behind that are.

    `behind` are seconds since 1970.
    """

    observed: Counter[Observed] = field(default_factory=Counter)
    behind: dict[Place, float] = field(default_factory=dict)

    def lag(self, now: float) -> float:
        """Say for how many seconds the image has been behind that is furthest; 0 for none."""
        return max(now - min(self.behind.values(), default=now), 0.0)

    def late(self, now: float, within: float) -> int:
        """Count the images that have been behind for longer than so many seconds."""
        return sum(now - since > within for since in self.behind.values())


class Census:
    """The placements of each way, counted."""

    def __init__(self) -> None:
        self._ways: defaultdict[Way, Population] = defaultdict(Population)

    def changed(self, old: Placement | None, new: Placement | None) -> None:
        """Count what a placement has become; None is that there is none."""
        if old is not None:
            self._of(old).observed[old.observed] -= 1
            self._of(old).behind.pop(old.place, None)
        if new is not None:
            self._of(new).observed[new.observed] += 1
            if new.behind is not None:
                self._of(new).behind[new.place] = new.behind

    def __getitem__(self, way: Way) -> Population:
        return self._ways[way]

    def _of(self, placement: Placement) -> Population:
        return self._ways[Way(placement.route, placement.place.library)]
