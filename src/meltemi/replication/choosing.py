"""Whether the owner of an image has chosen a target, and may: pure decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from meltemi.model.choosing import wishes
from meltemi.model.image import Image
from meltemi.model.route import Choosing, Selection
from meltemi.model.units import format_size
from meltemi.replication.selection import Selector

UNKNOWN: Final = "unknown region"
FORBIDDEN: Final = "not allowed"
LEFT_OUT: Final = "left out by the operator's rules"
NOT_CHOSEN: Final = "not chosen"


@dataclass(frozen=True, slots=True)
class Wish:
    """One region that an owner names: the target that it is, and why he may not have it."""

    name: str
    target: str | None
    refusal: str | None = None


class Chooser:
    """Answers for a route what owners have chosen."""

    def __init__(self, choosing: Choosing, *, now: datetime) -> None:
        self._choosing = choosing
        self._stays = [
            (Selector(Selection(match=rule.match), now=now), rule.targets, rule.reason)
            for rule in choosing.residency
        ]
        self._last: tuple[Image, Mapping[str, Wish]] | None = None

    def wishes(self, image: Image) -> tuple[Wish, ...]:
        """Give what an image's owner names, each target once, with the answer to each."""
        allowed = self._choosing.allowance(image.owner).targets
        found: dict[str, Wish] = {}
        for name in wishes(image):
            target = self._choosing.names.get(name.lower())
            if target is None:
                found[name.lower()] = Wish(name, None, UNKNOWN)
            elif target not in allowed:
                found.setdefault(target, Wish(name, target, FORBIDDEN))
            else:
                found.setdefault(target, Wish(name, target, self._stays_away(image, target)))
        return tuple(found.values())

    def refuses(self, image: Image, target: str) -> str | None:
        """Say why an image is not wanted in a target, quotas aside; None where it is."""
        if self._last is None or self._last[0] is not image:
            by_target = {wish.target: wish for wish in self.wishes(image) if wish.target}
            self._last = image, by_target
        wish = self._last[1].get(target)
        return NOT_CHOSEN if wish is None else wish.refusal

    def quota(self, image: Image, target: str) -> int | None:
        """Give how many bytes the owner may have in a target; None for any number."""
        return self._choosing.allowance(image.owner).quotas.get(target)

    def _stays_away(self, image: Image, target: str) -> str | None:
        for selector, targets, reason in self._stays:
            if target not in targets and selector.rejects(image) is None:
                return reason
        return None


def over_quota(quota: int) -> str:
    """Say that an image has no room in what its owner may use."""
    return f"over the quota of {format_size(quota)}"
