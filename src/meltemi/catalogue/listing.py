"""Listing images: who sees what, conditions, order, pages."""

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from meltemi.catalogue.images import COLUMNS, to_record, vanished
from meltemi.catalogue.schema import NAMED, images, members
from meltemi.model.listing import Condition, Listing, Operator, Viewer
from meltemi.model.record import Record

_COMPARISONS: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.EQ: operator.eq,
    Operator.NEQ: operator.ne,
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
}

_SORTABLE: Final[Mapping[str, ColumnElement[Any]]] = {
    # As Glance reads a marker: what has no value has the least there is.
    "name": NAMED,
    "container_format": func.coalesce(images.c.container_format, literal_column("''")),
    "disk_format": func.coalesce(images.c.disk_format, literal_column("''")),
    "size": func.coalesce(images.c.size, literal_column("0")),
    **{key: images.c[key] for key in ("status", "id", "created_at", "updated_at")},
}


def page(connection: Connection, listing: Listing) -> list[Record]:
    """Give a page of images."""
    statement = select(*COLUMNS).where(*_conditions(connection, listing))
    if listing.marker is not None:
        statement = statement.where(_after(connection, listing, listing.marker))
    for key, descends in listing.order:
        statement = statement.order_by(_SORTABLE[key].desc() if descends else _SORTABLE[key])
    return [to_record(row) for row in connection.execute(statement.limit(listing.limit)).all()]


def seen(viewer: Viewer) -> ColumnElement[bool]:
    """Tell which images a viewer may see: also those offered and not, or not yet, accepted."""
    if viewer.is_admin:
        return true()
    return or_(images.c.owner.is_(None), _within_reach(viewer, "all"))


def _conditions(connection: Connection, listing: Listing) -> Iterator[ColumnElement[bool]]:
    viewer = listing.viewer
    if not viewer.is_admin:
        yield _within_reach(viewer, listing.member_status)
    if listing.visibility is None:
        # Others' community images are listed only where they are asked for.
        yield or_(images.c.visibility != "community", _owned(viewer))
    elif listing.visibility != "all":
        yield images.c.visibility == listing.visibility
    yield images.c.os_hidden.is_(listing.hidden)
    for condition in listing.conditions:
        yield _compare(condition)
    has = _has_in_sqlite if connection.dialect.name == "sqlite" else _has_in_postgresql
    yield from has(listing)


def _within_reach(viewer: Viewer, member_status: str) -> ColumnElement[bool]:
    visible = images.c.visibility.in_(("public", "community"))
    if viewer.project is None:
        return visible
    offered = and_(members.c.image == images.c.id, members.c.project == viewer.project)
    if member_status != "all":
        offered &= members.c.status == member_status
    shared = and_(images.c.visibility == "shared", exists().where(offered))
    return or_(visible, _owned(viewer), shared)


def _owned(viewer: Viewer) -> ColumnElement[bool]:
    return false() if viewer.project is None else images.c.owner == viewer.project


def _compare(condition: Condition) -> ColumnElement[bool]:
    column = images.c[condition.attribute]
    if condition.operator is Operator.IN:
        return column.in_(condition.values)
    [value] = condition.values
    result: ColumnElement[bool] = _COMPARISONS[condition.operator](column, value)
    return result


def _has_in_sqlite(listing: Listing) -> Iterator[ColumnElement[bool]]:
    for key, value in listing.properties.items():
        pair = func.json_each(images.c.properties).table_valued("key", "value")
        found = select(pair.c.key).where(pair.c.key == key, pair.c.value == value)
        # Most images are ruled out by their text, before anything is parsed.
        yield func.instr(type_coerce(images.c.properties, Text), json.dumps(value)) > 0
        yield exists(found.correlate(images))
    for tag in sorted(listing.tags):
        one = func.json_each(images.c.tags).table_valued("value")
        yield exists(select(one.c.value).where(one.c.value == tag).correlate(images))


def _has_in_postgresql(listing: Listing) -> Iterator[ColumnElement[bool]]:
    # As documents, so that their indexes serve.
    if listing.properties:
        yield type_coerce(images.c.properties, JSONB).contains(dict(listing.properties))
    if listing.tags:
        yield type_coerce(images.c.tags, JSONB).contains(sorted(listing.tags))


def _after(connection: Connection, listing: Listing, marker: str) -> ColumnElement[bool]:
    """Tell which images come after the marker."""
    columns = [_SORTABLE[key] for key, _ in listing.order]
    find = select(*columns).where(images.c.id == marker, seen(listing.viewer))
    values = connection.execute(find).one_or_none()
    if values is None:
        raise vanished(marker)
    steps = list(zip(columns, values, (descends for _, descends in listing.order), strict=True))
    later: ColumnElement[bool] = false()
    for column, value, descends in reversed(steps):
        beyond = column < value if descends else column > value
        later = or_(beyond, and_(column == value, later))
    # The first one alone says where in an index to begin.
    column, value, descends = steps[0]
    return and_(column <= value if descends else column >= value, later)
