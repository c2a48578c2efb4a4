"""Claims: a replicator's word that it is at work on an image, so that a second one keeps away.

A claim stands in `meltemi_replicated_at` while an image waits for its data. It is never written
during an upload: Glance saves an image's whole state at the end of an upload and at every update,
so an update in between could undo the step to `active`. Meanwhile the status `saving` is the claim.

Where nothing is left to do once the data is there, the claim is lasting: it names the time at which
it was taken, and stays as the word of when and by whom the image was replicated. That saves an
update, which costs Glance as much as registering the image.
"""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Final

from meltemi.model.image import Image
from meltemi.model.provenance import Provenance, describe_hash, timestamp

LASTING: Final = timedelta(seconds=60)
"""How long an image that waits for its data is left to the replicator that registered it."""

GIVEN_UP: Final = timedelta(days=1)
"""How long an upload may last whose sender cannot be seen from here; Glance says nothing of it."""

_FARTHEST: Final = 10 * LASTING
"""A claim that ends later is not believed; clocks of two hosts may differ by less."""

_CLAIMED: Final = "claimed until "
_BY: Final = " by "
_THIS: Final = token_hex(4)
"""Tells this process from another that had its number, as in a container that was started anew."""

_ENDED: Final[set[str]] = set()
"""Holders that are known to have ceased, wherever they are."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A replicator's word that it is at work on an image, good until a time.

    One that `stays` is all that remains to be said of the image once it has its data.
    """

    holder: str
    until: datetime
    stays: bool = False

    @classmethod
    def take(cls, now: datetime, *, stays: bool = False) -> "Claim":
        """Claim for this process."""
        return cls(this_holder(), now + LASTING, stays)

    def holds_against(self, now: datetime) -> bool:
        """Say whether another replicator must keep away.

        A claim ends with its time, or with its process where that can be seen: on this host, or
        where somebody who knows has said so.
        One that ends later than any replicator would say is none.
        """
        credible = now < self.until < now + _FARTHEST
        return credible and not self.is_ours and not self.is_abandoned

    @property
    def is_ours(self) -> bool:
        """Say whether this very process holds the claim."""
        return self.holder == this_holder()

    @property
    def is_abandoned(self) -> bool:
        """Say whether the holder is known to have ceased."""
        return self._holder_lives is False

    @property
    def _holder_lives(self) -> bool | None:
        """Say whether the holder still works; None where nobody here knows."""
        return False if self.holder in _ENDED else holder_lives(self.holder)

    def is_given_up(self, image: Image, now: datetime) -> bool:
        """Say whether nobody sends an image any more that is `saving` under this claim.

        A sender of which nobody knows is given a day since the upload began. This process does not
        plan what it sends itself: what it has claimed, it has broken off.
        """
        if self.is_ours:
            return True
        lives = self._holder_lives
        if lives is not None:
            return not lives
        return not self.holds_against(now) and _age(image, now) > GIVEN_UP

    def __str__(self) -> str:
        if self.stays:
            return f"{timestamp(self.until - LASTING)}{_BY}{self.holder}"
        return f"{_CLAIMED}{timestamp(self.until)}{_BY}{self.holder}"

    @classmethod
    def parse(cls, text: str) -> "Claim | None":
        """Read a claim; None where the text is none."""
        stays = not text.startswith(_CLAIMED)
        when, by, holder = text.removeprefix(_CLAIMED).partition(_BY)
        if stays and not by:
            return None
        try:
            moment = datetime.fromisoformat(when).astimezone(UTC)
            return cls(holder, moment + LASTING if stays else moment, stays)
        except (ValueError, OverflowError):
            return None


def unfinished(replica: Image, origin: Provenance) -> bool:
    """Say whether a replica was left before its data was verified and all was published.

    A claim that stays vouches for the data only where the target recorded the source's hash.
    """
    claim = Claim.parse(origin.at)
    if claim is None:
        return False
    return not (claim.stays and origin.source_hash == describe_hash(replica.hashes))


def end_claims(holders: Iterable[str]) -> None:
    """Hear of holders that have ceased, and hold nothing any more."""
    _ENDED.update(holders)


def this_holder() -> str:
    """Name this process as the holder of something."""
    return f"{socket.gethostname()}/{os.getpid()}/{_THIS}"


def holder_lives(holder: str) -> bool | None:
    """Say whether a process that holds something still runs; None where that cannot be seen.

    It can be seen of processes of this host. `this_holder` is the form of a holder's name.
    """
    host, process, mark = [*holder.split("/"), "", ""][:3]
    if host != socket.gethostname() or not (process.isascii() and process.isdigit()):
        return None
    reborn = int(process) == os.getpid() and mark != _THIS
    return _alive(int(process)) and not reborn


def _age(image: Image, now: datetime) -> timedelta:
    """Give the time since an image was last written; none where its library does not say."""
    try:
        return now - datetime.fromisoformat(image.updated_at or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return timedelta()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # the latter for a number that no process has
        return False
    except PermissionError:
        return True
    return True
