"""Usage: bytes moved and byte-hours stored, by day, project and library, folded from the history.

All of it is whole numbers, so that whoever folds the same changes has the same figures, whether at
once or some now and some later.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from meltemi.daemon.state.records import Change
from meltemi.model.placement import Observed, Place

_DAY: Final = 86_400_000
"""Milliseconds."""

_HOUR: Final = 3_600_000
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Account(NamedTuple):
    """Whom something is charged to, and where: a project, "" where an image has none."""

    project: str
    library: str


@dataclass(slots=True)
class Balance:
    """How many bytes an account stores since a moment, up to which everything is counted.

    `upto` is in milliseconds since 1970, `change` the number of the last change that was counted.
    """

    stored: int = 0
    upto: int = 0
    change: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """What was last observed of an image that is stored, of how many bytes, and for whom."""

    project: str
    observed: Observed
    stored: int


@dataclass(slots=True)
class Amount:
    """Bytes that crossed the wire, and bytes stored times milliseconds."""

    moved: int = 0
    stored: int = 0

    @property
    def byte_hours(self) -> int:
        """Give the byte-hours stored, rounded to whole ones."""
        return (self.stored + _HOUR // 2) // _HOUR


class Entry(NamedTuple):
    """Which amount: on a day, as `2026-11-26` in UTC, of a project in a library."""

    day: str
    project: str
    library: str


@dataclass(slots=True)
class Ledger:
    """Usage as it follows from changes: everything that going on with later ones takes.

    What `amounts` has is added to what was counted before.
    """

    balances: dict[Account, Balance] = field(default_factory=dict)
    holdings: dict[Place, Holding] = field(default_factory=dict)
    amounts: defaultdict[Entry, Amount] = field(default_factory=lambda: defaultdict(Amount))

    def take(self, changes: Iterable[Change]) -> None:
        """Count changes, in the order of their numbers."""
        for change in changes:
            self._take(change)

    def _take(self, change: Change) -> None:
        account = Account(change.owner or "", change.place.library)
        moment = int(change.at * 1000)
        before = self.holdings.pop(change.place, None)
        if before is not None:
            former = Account(before.project, change.place.library)
            self._advance(former, moment)
            self.balances[former].stored -= before.stored
        self._advance(account, moment)
        balance = self.balances[account]
        balance.change = change.id
        if change.moved:
            self.amounts[Entry(_day_of(balance.upto), *account)].moved += change.moved
        if change.size and _is_stored(before, change.observed):
            balance.stored += change.size
            self.holdings[change.place] = Holding(account.project, change.observed, change.size)

    def _advance(self, account: Account, to: int) -> None:
        """Count what an account has stored until a moment; nothing where that has been counted."""
        balance = self.balances.setdefault(account, Balance(upto=to))
        for day, stored in _stored(balance, to):
            self.amounts[Entry(day, *account)].stored += stored
        balance.upto = max(balance.upto, to)


def until(balances: Mapping[Account, Balance], moment: float) -> dict[Entry, Amount]:
    """Say what is stored on from where accounts were counted, up to a moment, since 1970."""
    return {
        Entry(day, *account): Amount(stored=stored)
        for account, balance in balances.items()
        for day, stored in _stored(balance, int(moment * 1000))
    }


def _is_stored(before: Holding | None, observed: Observed) -> bool:
    """Say whether an image is in a library, after what was observed of it before.

    A replica that is to be brought up to date stays there while that waits, or fails. Where there
    was one that was as it should be, and it is to be copied, it is gone.
    """
    if observed in (Observed.READY, Observed.STALE):
        return True
    if observed in (Observed.ABSENT, Observed.COPYING, Observed.VERIFYING):
        return False
    if before is None:
        return False
    return (before.observed, observed) != (Observed.READY, Observed.QUEUED)


def _stored(balance: Balance, to: int) -> Iterator[tuple[str, int]]:
    """Part what is stored up to a moment by days."""
    start = balance.upto
    while balance.stored and start < to:
        end = min((start // _DAY + 1) * _DAY, to)
        yield _day_of(start), balance.stored * (end - start)
        start = end


def _day_of(moment: int) -> str:
    return date.fromordinal(_EPOCH + moment // _DAY).isoformat()
