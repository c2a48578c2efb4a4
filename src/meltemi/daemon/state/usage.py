"""Usage in the state: metered from the history by the daemon that leads, read by all.

What has been metered stays when the history is forgotten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select, tuple_

from meltemi.daemon.metering import Account, Amount, Balance, Entry, Holding, Ledger, until
from meltemi.daemon.state.records import Change
from meltemi.daemon.state.rows import change_of
from meltemi.daemon.state.schema import changes, usage, usage_balances, usage_holdings
from meltemi.daemon.state.writing import batches, demand_lease, upsert
from meltemi.model.placement import Observed, Place
from meltemi.transactions import Database

AT_ONCE: Final = 2000
"""Changes that are metered in one transaction."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which usage: from and to a day, both included; None is any. A project of "" is none.

    `owner` is the project that asks, where it may see only what is its own.
    """

    first: str | None = None
    last: str | None = None
    project: str | None = None
    library: str | None = None
    owner: str | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """Give what is the case for what was metered, and is asked for."""
        given = (
            (usage.c.day.__ge__, self.first),
            (usage.c.day.__le__, self.last),
            (usage.c.project.__eq__, self.project),
            (usage.c.project.__eq__, self.owner),
            (usage.c.library.__eq__, self.library),
        )
        return [holds(value) for holds, value in given if value is not None]

    def has(self, entry: Entry) -> bool:
        """Say whether an entry is asked for."""
        return (
            (self.first is None or entry.day >= self.first)
            and (self.last is None or entry.day <= self.last)
            and self.project in (None, entry.project)
            and self.owner in (None, entry.project)
            and self.library in (None, entry.library)
        )


class Usage:
    """Bytes moved and stored; every method raises StateError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def meter(self, holder: str) -> bool:
        """Meter changes that are not yet, so many at most; say whether there are more.

        Raise LeaseError where another daemon leads.
        """

        def write(connection: Connection) -> bool:
            demand_lease(connection, holder)
            found = _not_metered(connection, AT_ONCE)
            if found:
                self._keep(connection, found)
            return len(found) == AT_ONCE

        return await self._database.write(write)

    async def read(self, asked: Asked, moment: float) -> list[tuple[Entry, Amount]]:
        """Give usage until a moment, in seconds since 1970, by day, project and library."""

        def look(connection: Connection) -> list[tuple[Entry, Amount]]:
            while True:
                before = last_metered(connection)
                found = _not_metered(connection)
                ledger = Ledger(_balances(connection))
                if found:
                    ledger.holdings = _holdings(connection, found)
                    ledger.take(found)
                later = _sum(ledger.amounts, until(ledger.balances, moment))
                total = _sum(_amounts(connection, asked.conditions), later)
                if last_metered(connection) == before:  # or it is of two moments
                    return sorted(
                        ((entry, amount) for entry, amount in total.items() if asked.has(entry)),
                        key=lambda one: one[0],
                    )

        return await self._database.read(look)

    def _keep(self, connection: Connection, found: Sequence[Change]) -> None:
        """Add what changes come to."""
        before = _balances(connection)
        ledger = Ledger(_balances(connection), _holdings(connection, found))
        ledger.take(found)
        days = {entry.day for entry in ledger.amounts}
        known = _amounts(connection, [usage.c.day.in_(sorted(days))])
        amounts = _sum(ledger.amounts, {one: known.get(one, Amount()) for one in ledger.amounts})
        self._write(connection, usage, amounts)
        changed = {a: one for a, one in ledger.balances.items() if one != before.get(a)}
        self._write(connection, usage_balances, changed)
        for place in {change.place for change in found} - ledger.holdings.keys():
            at = (usage_holdings.c[name] == value for name, value in place._asdict().items())
            connection.execute(delete(usage_holdings).where(*at))
        self._write(connection, usage_holdings, ledger.holdings)

    def _write(self, connection: Connection, table: Table, kept: Mapping[Any, Any]) -> None:
        rows = [{**key._asdict(), **asdict(value)} for key, value in kept.items()]
        for some in batches(rows):
            upsert(self._database, connection, table, some)


def last_metered(connection: Connection) -> int:
    """Give the number of the last change that is metered; 0 where there is none."""
    return int(connection.scalar(select(func.max(usage_balances.c.change))) or 0)


def _not_metered(connection: Connection, most: int | None = None) -> list[Change]:
    query = select(changes).where(changes.c.id > last_metered(connection))
    rows = connection.execute(query.order_by(changes.c.id).limit(most)).mappings()
    return [change_of(dict(row)) for row in rows]


def _balances(connection: Connection) -> dict[Account, Balance]:
    rows = connection.execute(select(usage_balances))
    return {Account(*row[:2]): Balance(*row[2:]) for row in rows}


def _holdings(connection: Connection, found: Sequence[Change]) -> dict[Place, Holding]:
    """Give what is stored where something changes."""
    key = tuple_(*(usage_holdings.c[name] for name in Place._fields))
    of_changes = select(*(changes.c[name] for name in Place._fields)).where(
        changes.c.id.between(found[0].id, found[-1].id)
    )
    rows = connection.execute(select(usage_holdings).where(key.in_(of_changes)))
    return {
        Place(*row[:3]): Holding(row.project, Observed(row.observed), row.stored) for row in rows
    }


def _amounts(connection: Connection, where: Sequence[ColumnElement[bool]]) -> dict[Entry, Amount]:
    rows = connection.execute(select(usage).where(*where))
    return {Entry(*row[:3]): Amount(*row[3:]) for row in rows}


def _sum(one: Mapping[Entry, Amount], other: Mapping[Entry, Amount]) -> dict[Entry, Amount]:
    none = Amount()
    return {
        entry: Amount(
            one.get(entry, none).moved + other.get(entry, none).moved,
            one.get(entry, none).stored + other.get(entry, none).stored,
        )
        for entry in one.keys() | other.keys()
    }
