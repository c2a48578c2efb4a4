"""What the state keeps beside placements: changes, runs, requests, pauses."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from meltemi.model.placement import Observed, Place


class Cause(StrEnum):
    """Why a run is made."""

    START = "start"
    SCHEDULE = "schedule"
    RECONCILIATION = "reconciliation"
    EVENT = "event"
    RETRY = "retry"
    REQUEST = "request"
    CONFIGURATION = "configuration"
    RETURN = "return"
    """A library that had failed is asked again."""


@dataclass(frozen=True, slots=True)
class Change:
    """A placement as it became at a moment; `moved` bytes crossed the wire since the last one.

    `id` grows with time; 0 is one that has not been kept yet.
    """

    at: float
    place: Place
    route: str
    wanted: bool
    observed: Observed
    name: str | None = None
    owner: str | None = None
    detail: str = ""
    run: int | None = None
    size: int = 0
    moved: int = 0
    id: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One look at a route: what was found, and what became of what was to be done.

    `libraries` are the targets that were looked at, `images` how many images it was about, None
    for all. It ended when all targets had been read; `done` and `failed` go on until nothing of
    what it `planned` is left.
    """

    route: str
    cause: Cause
    libraries: tuple[str, ...]
    images: int | None
    began: float
    holder: str
    ended: float | None = None
    result: str | None = None
    detail: str = ""
    in_sync: int = 0
    planned: int = 0
    done: int = 0
    failed: int = 0
    moved: int = 0
    id: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """Something to look at: a route or every one, one of its libraries, an image or all."""

    cause: Cause
    at: float
    route: str | None = None
    source: str | None = None
    image: str | None = None
    library: str | None = None


class Held(StrEnum):
    """What can be paused."""

    ROUTE = "route"
    LIBRARY = "library"


@dataclass(frozen=True, slots=True)
class Pause:
    """A route or a library that is left alone, since when, and who said so."""

    kind: Held
    name: str
    at: float
    by: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the owner of an image is told of the regions that he has chosen, since when.

    It stands on the image itself as well, but for the `problem` that there is with that.
    """

    source: str
    image: str
    name: str | None
    owner: str | None
    text: str
    at: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Locked:
    """An owner's credential for a library, encrypted; who has set it, and when."""

    owner: str
    library: str
    secret: str
    at: float
    by: str


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did over the API, or tried to: `result` is `done` or `refused`.

    `who` is the name of a token, or the id of a user at Keystone; `role` is what they had, of
    Meltemi's, None where they had none. `subject` says to what it was done.
    """

    at: float
    who: str
    role: str | None
    project: str | None
    action: str
    subject: str
    result: str
    request_id: str
    id: int = 0


LEADER: Final = "leader"
"""The name of the lease of the one daemon that replicates."""
