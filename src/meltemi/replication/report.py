"""What a run tells whoever watches it, and what it leaves behind as its result."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from meltemi.errors import MeltemiError
from meltemi.model.plan import Action


class Result(StrEnum):
    """How an action ended."""

    DONE = "done"
    FAILED = "failed"
    STALE = "stale"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One action's end: what became of it, under which id, with how many bytes and seconds.

    `wire` is how many bytes crossed the wire for it, those of attempts that failed included.
    """

    action: Action
    result: Result
    detail: str
    target_id: str
    bytes: int = 0
    seconds: float = 0.0
    error: MeltemiError | None = None
    wire: int = 0


class Reporter(Protocol):
    """Is told about a run as it goes."""

    def started(self, action: Action) -> None:
        """Hear that work on an action begins."""
        ...

    def moved(self, action: Action, count: int) -> None:
        """Hear that so many bytes crossed the wire; negative where an attempt starts anew."""
        ...

    def verifying(self, action: Action) -> None:  # noqa: ARG002 - for those who tell of it
        """Hear that all has been sent, and what the target stored is held against the source."""
        return

    def finished(self, outcome: Outcome) -> None:
        """Hear how an action ended."""
        ...
