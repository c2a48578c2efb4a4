"""Claims: a replicator's word that it is at work on an image, so that a second one keeps away.

A claim stands in `meltemi_replicated_at` while an image waits for its data. It is never written
during an upload: Glance saves an image's whole state at the end of an upload and at every update,
so an update in between could undo the step to `active`. Meanwhile the status `saving` is the claim.
"""

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from meltemi.model.provenance import timestamp

LASTING: Final = timedelta(seconds=60)
"""How long an image that waits for its data is left to the replicator that registered it."""

_FARTHEST: Final = 10 * LASTING
"""A claim that ends later is not believed; clocks of two hosts may differ by less."""

_CLAIMED: Final = "claimed until "


@dataclass(frozen=True, slots=True)
class Claim:
    """A replicator's word that it is at work on an image, good until a time."""

    holder: str
    until: datetime

    @classmethod
    def take(cls, now: datetime) -> "Claim":
        """Claim for this process."""
        return cls(_holder(), now + LASTING)

    def holds_against(self, now: datetime) -> bool:
        """Say whether another replicator must keep away.

        A claim ends with its time, or with its process where that can be seen: on this host.
        One that ends later than any replicator would say is none.
        """
        credible = now < self.until < now + _FARTHEST
        return credible and not self.is_ours and not self.is_abandoned

    @property
    def is_ours(self) -> bool:
        """Say whether this very process holds the claim."""
        return self.holder == _holder()

    @property
    def is_abandoned(self) -> bool:
        """Say whether the holder was a process of this host that is gone."""
        host, _, process = self.holder.rpartition("/")
        local = host == socket.gethostname() and process.isascii() and process.isdigit()
        return local and not _alive(int(process))

    def __str__(self) -> str:
        return f"{_CLAIMED}{timestamp(self.until)} by {self.holder}"

    @classmethod
    def parse(cls, text: str) -> "Claim | None":
        """Read a claim; None where the text is none."""
        if not text.startswith(_CLAIMED):
            return None
        until, _, holder = text.removeprefix(_CLAIMED).partition(" by ")
        try:
            return cls(holder, datetime.fromisoformat(until).astimezone(UTC))
        except (ValueError, OverflowError):
            return None


def _holder() -> str:
    return f"{socket.gethostname()}/{os.getpid()}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # the latter for a number that no process has
        return False
    except PermissionError:
        return True
    return True
