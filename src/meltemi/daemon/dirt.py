"""What the daemon that leads has observed and not kept yet. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from meltemi.daemon.state.records import Change
from meltemi.model.placement import Place


@dataclass(slots=True)
class Dirt:
    """What the state does not have yet; it may have what is kept `again`, after a failure."""

    changed: set[Place] = field(default_factory=set)
    removed: set[Place] = field(default_factory=set)
    history: list[Change] = field(default_factory=list)
    again: bool = False

    def parted(self, most: int) -> "list[Dirt]":
        """Part it, at least into one, with so many changes and places at most in each.

        The history stays in its order, and a place comes with the last of its changes: so nothing
        is ever kept of which the history does not tell.
        """
        last = {change.place: number for number, change in enumerate(self.history)}
        steps: list[tuple[Change | None, Place | None]] = [
            (change, change.place if last[change.place] == number else None)
            for number, change in enumerate(self.history)
        ]
        steps += [(None, place) for place in self.changed | self.removed if place not in last]
        return [
            self._part(steps[start : start + most]) for start in range(0, len(steps) or 1, most)
        ]

    def _part(self, steps: Sequence[tuple[Change | None, Place | None]]) -> "Dirt":
        places = {place for _, place in steps if place is not None}
        history = [change for change, _ in steps if change is not None]
        return Dirt(self.changed & places, self.removed & places, history, self.again)
