"""Placements: what is wanted and what is observed of one image in one library, two facts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Observed(StrEnum):
    """What was last seen of an image in a library."""

    ABSENT = "absent"
    QUEUED = "queued"
    COPYING = "copying"
    VERIFYING = "verifying"
    READY = "ready"
    STALE = "stale"
    FAILED = "failed"
    CONFLICT = "conflict"


UNDER_WAY: Final = frozenset({Observed.COPYING, Observed.VERIFYING})
"""What is only true as long as somebody works on it."""


_WITH_REASON: Final = frozenset({Observed.FAILED, Observed.CONFLICT})


class Place(NamedTuple):
    """Which placement: an image of the library `source`, in another library."""

    source: str
    image: str
    library: str


@dataclass(frozen=True, slots=True)
class Placement:
    """One image in one library: whether it is wanted there, and what was last observed.

    `route` wants it, `run` is the last one that changed what is observed. Times are seconds since
    1970: `since` when the observation became what it is, `behind` from when on it has been wanted
    and not ready (None where it is as it should be). `size` is what the image has, `total` what the
    copy under way moves at most, of which `done` has been moved, all in bytes. `attempts` failed
    one after the other; the next begins at `due`. `target_id` is the image's id in the library.
    """

    place: Place
    route: str
    wanted: bool
    observed: Observed
    since: float
    name: str | None = None
    owner: str | None = None
    detail: str = ""
    behind: float | None = None
    run: int | None = None
    size: int = 0
    done: int = 0
    total: int = 0
    attempts: int = 0
    due: float | None = None
    target_id: str | None = None

    @property
    def status(self) -> str:
        """Tell a person what is observed: `copying 43 %`, `failed: reason`."""
        return status_of(self.observed, self.detail, self.done, self.total)


def status_of(observed: str, detail: str, done: int, total: int) -> str:
    """Tell a person what is observed, by the parts of a placement of these names."""
    if observed == Observed.COPYING:
        return f"copying {100 * min(done, total) // max(total, 1)} %"
    if detail and observed in _WITH_REASON:
        return f"{observed}: {detail}"
    return str(observed)
