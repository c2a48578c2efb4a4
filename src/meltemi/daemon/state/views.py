"""What is shown of the state: pages of it, and sums. Nobody sees what is not theirs.

What is read is shaped in the database's thread, so that long pages do not hold up the event loop.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from meltemi.daemon.state.schema import acts, answers, changes, placements, runs
from meltemi.model.placement import Observed, Place
from meltemi.transactions import Database

_T = TypeVar("_T")

PLACEMENT_COLUMNS: Final = tuple(
    placements.c[name]
    for name in (
        *("source", "image", "library", "route", "name", "owner", "wanted", "observed", "detail"),
        *("since", "behind", "run", "size", "done", "total", "attempts", "due", "target_id"),
    )
)

Shape = Callable[[Sequence[Any]], _T]
"""Makes of rows what is to be told of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which placements, or changes of them; None is any.

    `image` is an id. `owner` is the project that asks, where it may see only what is its own; it is
    not told the reasons (`detail`) either, which may name what is another's, or the operator's.
    `late` are the moments, by route, since before which something that is late has been behind.
    """

    image: str | None = None
    source: str | None = None
    library: str | None = None
    route: str | None = None
    observed: str | None = None
    owner: str | None = None
    late: Mapping[str, float] | None = None


class Count(NamedTuple):
    """How many placements of a route in a library are observed so, and since when they lag.

    `behind` is since when the one that is furthest behind is, `late` how many are late.
    """

    route: str
    library: str
    observed: str
    images: int
    behind: float | None
    late: int


class Progress(NamedTuple):
    """How far the data of an image has come to a library, in bytes."""

    place: Place
    name: str | None
    owner: str | None
    route: str
    done: int
    total: int


class Views:
    """Reads the state for others than the leader; every method raises StateError where it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def images(self, text: str, owner: str | None) -> list[str]:
        """Give the ids of the images that have an id, or else of those that have it as a name.

        Also of those that are in no library, where their owners are told why; by its id, of one
        that was in some.
        """

        def look(connection: Connection) -> list[str]:
            by_id, by_name = (placements, answers, changes), (placements, answers)
            for tables, name in ((by_id, "image"), (by_name, "name")):
                found: set[str] = set()
                for table in tables:
                    query = select(table.c.image).distinct().where(table.c[name] == text)
                    query = query.where(*_owned(table, owner)).order_by(table.c.image)
                    found |= set(connection.scalars(query.limit(10)))
                if found:
                    return sorted(found)
            return []

        return await self._database.read(look)

    async def placements(
        self, wanted: Wanted, after: Place | None, most: int, shape: Shape[_T]
    ) -> _T:
        """Read placements behind one, by source, image and library, so many at most.

        Rows are of `PLACEMENT_COLUMNS`.
        """
        key = (placements.c.source, placements.c.image, placements.c.library)
        query = select(*_shown(PLACEMENT_COLUMNS, wanted))
        query = query.where(*_conditions(placements, wanted)).order_by(*key)
        if after is not None:
            query = query.where(tuple_(*key) > after)
        return await self._rows(query.limit(most), shape)

    async def counts(self, owner: str | None, late: Mapping[str, float]) -> list[Count]:
        """Count placements."""
        columns = (placements.c.route, placements.c.library, placements.c.observed)
        is_late = func.sum(case((_is_late(late), 1), else_=0))
        query = select(*columns, func.count(), func.min(placements.c.behind), is_late)
        query = query.where(*_owned(placements, owner)).group_by(*columns).order_by(*columns)
        return await self._rows(query, lambda rows: [Count(*row) for row in rows])

    async def progress(self) -> list[Progress]:
        """Read how far the images have come whose data is on its way."""
        columns = [placements.c[name] for name in ("name", "owner", "route", "done", "total")]
        query = select(*(placements.c[name] for name in Place._fields), *columns)
        query = query.where(placements.c.observed == Observed.COPYING)
        return await self._rows(
            query, lambda rows: [Progress(Place(*row[:3]), *row[3:]) for row in rows]
        )

    async def changes(self, wanted: Wanted, before: int | None, most: int, shape: Shape[_T]) -> _T:
        """Read changes before one, the latest first, so many at most."""
        query = select(*_shown(changes.c, wanted)).where(*_conditions(changes, wanted))
        return await self._latest(query, changes.c.id, before, most, shape)

    async def first_change(self) -> int | None:
        """Give the number of the oldest change that is kept."""
        return await self._database.read(lambda c: c.scalar(select(func.min(changes.c.id))))

    async def runs(self, route: str | None, before: int | None, most: int, shape: Shape[_T]) -> _T:
        """Read runs before one, the latest first, so many at most."""
        query = select(runs)
        if route is not None:
            query = query.where(runs.c.route == route)
        return await self._latest(query, runs.c.id, before, most, shape)

    async def acts(self, before: int | None, most: int, shape: Shape[_T]) -> _T:
        """Read the audit log before an entry, the latest first, so many at most."""
        return await self._latest(select(acts), acts.c.id, before, most, shape)

    async def _latest(
        self, query: Any, number: Column[int], before: int | None, most: int, shape: Shape[_T]
    ) -> _T:
        if before is not None:
            query = query.where(number < before)
        return await self._rows(query.order_by(number.desc()).limit(most), shape)

    async def _rows(self, query: Any, shape: Shape[_T]) -> _T:
        return await self._database.read(lambda c: shape(c.execute(query).all()))


def _shown(columns: Iterable[Column[Any]], wanted: Wanted) -> list[ColumnElement[Any]]:
    """Give columns as whoever asks may see them."""
    if wanted.owner is None:
        return list(columns)
    nothing = literal("").label("detail")
    return [nothing if column.name == "detail" else column for column in columns]


def _conditions(table: Table, wanted: Wanted) -> list[ColumnElement[bool]]:
    names = ("image", "source", "library", "route", "observed")
    given = {name: getattr(wanted, name) for name in names}
    found = [table.c[name] == value for name, value in given.items() if value is not None]
    if wanted.late is not None:
        found.append(_is_late(wanted.late))
    return [*found, *_owned(table, wanted.owner)]


def _owned(table: Table, owner: str | None) -> list[ColumnElement[bool]]:
    return [] if owner is None else [table.c.owner == owner]


def _is_late(late: Mapping[str, float]) -> ColumnElement[bool]:
    columns = placements.c
    return or_(
        false(),
        *(and_(columns.route == name, columns.behind < moment) for name, moment in late.items()),
    )
