"""What is known of the adoption of a Glance: how it stands, how far it is, and what is missing."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How an adoption stands.

    READING: the Glance's images are being learnt for the first time, and none is served. RUNNING:
    all are served, and all changes go to the Glance. FINISHING: the last things are compared, and
    nobody may change anything. FINISHED: the region stands alone.
    """

    READING = "reading"
    RUNNING = "running"
    FINISHING = "finishing"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Adoption:
    """The adoption of the Glance at `endpoint`; `compared_at` is the end of the last comparison."""

    endpoint: str
    stage: Stage
    started_at: str
    compared_at: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How many images are adopted, how many have data, and of how many of these it is here.

    `failed` are those whose data could not be brought so far; of those `unverifiable` the Glance
    recorded no hash, so that nothing but the size can be compared. Sizes are in bytes.
    """

    images: int
    with_data: int
    here: int
    failed: int
    unverifiable: int
    size: int
    size_here: int


@dataclass(frozen=True, slots=True)
class Missing:
    """An image that is not wholly here: its id, name and status, and what went wrong, if it did."""

    id: str
    name: str | None
    status: str
    problem: str | None = None
