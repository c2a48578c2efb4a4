"""What is done to metadata definitions; each function is part of one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from meltemi.catalogue import namespaces, schema
from meltemi.catalogue.images import check_text, now
from meltemi.catalogue.schema import definitions, resource_types
from meltemi.errors import ConflictError, ForbiddenError, VanishedError
from meltemi.model.definitions import (
    Definition,
    Described,
    Existing,
    Kind,
    Namespace,
    NamespaceListing,
    ResourceType,
)
from meltemi.model.listing import Viewer
from meltemi.transactions import insert_if_new

_TAKEN: Final = {
    Kind.OBJECT: "A metadata definition object with name={} already exists in namespace={}.",
    Kind.PROPERTY: "A metadata definition property with name={} already exists in namespace={}.",
    Kind.TAG: "A metadata tag with name={} already exists in namespace={}. (Please note that "
    "metadata tag names are case insensitive).",
    Kind.RESOURCE_TYPE: "The metadata definition resource-type association of resource-type={} to "
    "namespace={} already exists.",
}
_MISSING: Final = {
    Kind.OBJECT: "Could not find metadata object {}",
    Kind.PROPERTY: "Could not find property {}",
    Kind.TAG: "Could not find metadata tag {}",
    Kind.RESOURCE_TYPE: "The metadata definition resource-type association of resource-type={} to "
    "namespace={}, was not found.",
}
_NOUNS: Final = {kind: kind.value for kind in Kind} | {
    Kind.RESOURCE_TYPE: "resource-type-association"
}


def page(connection: Connection, listing: NamespaceListing) -> list[Described]:
    """Give a page of namespaces with their resource types."""
    found = namespaces.page(connection, listing)
    condition = and_(
        definitions.c.namespace.in_([number for number, _ in found]),
        definitions.c.kind == Kind.RESOURCE_TYPE.value,
    )
    associated = defaultdict(list)
    for row in _rows(connection, condition):
        associated[row.namespace].append(_to_definition(row))
    return [Described(namespace, tuple(associated[number])) for number, namespace in found]


def describe(connection: Connection, namespace: str, viewer: Viewer) -> Described:
    """Give a namespace with everything that it defines."""
    found = namespaces.row(connection, namespace, viewer)
    rows = _rows(connection, definitions.c.namespace == found.id)
    return Described(namespaces.to_namespace(found), tuple(map(_to_definition, rows)))


def add(connection: Connection, described: Described) -> Namespace:
    """Take in a namespace with what it defines."""
    found = namespaces.add(connection, described.namespace, updated=True)
    _insert(connection, found, described.definitions, updated=True)
    return namespaces.to_namespace(found)


def load(connection: Connection, described: Described, existing: Existing) -> bool:
    """Take in a namespace that may be there."""
    name = described.namespace.name
    found = namespaces.locked(connection, name, whole=True)
    if found is not None and existing is Existing.REPLACE:
        namespaces.discard(connection, found.id)
        found = None
    if found is None:
        found = namespaces.add(connection, described.namespace, updated=False)
        _insert(connection, found, described.definitions, updated=False)
        return True
    if existing is Existing.SKIP:
        return False
    known = {(row.kind, row.name) for row in _rows(connection, definitions.c.namespace == found.id)}
    new = [one for one in described.definitions if (one.kind.value, one.name) not in known]
    _insert(connection, found, new, updated=False)
    if existing is Existing.UPDATE:
        namespaces.change(connection, name, described.namespace)
        for one in described.definitions:
            if one not in new:
                _update(connection, found, one.name, one)
    return True


def listed(connection: Connection, namespace: str, kind: Kind) -> list[Definition]:
    """Give what a namespace defines of one kind."""
    rows = _rows(connection, _within(namespace, kind))
    if not rows:
        namespaces.row(connection, namespace, Viewer(None, is_admin=True))
    return [_to_definition(row) for row in rows]


def find(connection: Connection, namespace: str, kind: Kind, name: str) -> Definition:
    """Give one definition."""
    rows = _rows(connection, and_(_within(namespace, kind), definitions.c.name == name))
    if not rows:
        raise _vanished(namespace, kind, name)
    return _to_definition(rows[0])


def define(
    connection: Connection, namespace: str, wanted: Sequence[Definition], *, replace: bool
) -> list[Definition]:
    """Add definitions; with `replace`, in place of those of their kinds."""
    found = namespaces.held(connection, namespace, whole=replace)
    if replace:
        for kind in {one.kind for one in wanted}:
            connection.execute(delete(definitions).where(_of(found, kind)))
    return _insert(connection, found, wanted, updated=True)


def redefine(connection: Connection, namespace: str, name: str, wanted: Definition) -> Definition:
    """Replace a definition."""
    found = namespaces.held(connection, namespace, whole=False)
    try:
        row = _update(connection, found, name, wanted)
    except IntegrityError as error:
        taken = _TAKEN[wanted.kind].format(wanted.name, namespace)
        if wanted.kind is not Kind.TAG:
            taken = (
                "Invalid update. It would result in a duplicate metadata definition "
                f"{wanted.kind.value} with the same name={wanted.name} in namespace={namespace}."
            )
        raise ConflictError(taken) from error
    if row is None:
        raise _vanished(namespace, wanted.kind, name)
    return _to_definition(row)


def undefine(connection: Connection, namespace: str, kind: Kind, name: str) -> None:
    """Delete a definition."""
    found = namespaces.held(connection, namespace, whole=True)
    statement = delete(definitions).where(_of(found, kind), definitions.c.name == name)
    if not connection.execute(statement).rowcount:
        raise _vanished(namespace, kind, name)
    if found.protected:
        raise ForbiddenError(
            f"Metadata definition {_NOUNS[kind]} {name} is protected and cannot be deleted."
        )


def clear(connection: Connection, namespace: str, kind: Kind) -> None:
    """Delete everything that a namespace defines of one kind."""
    found = namespaces.held(connection, namespace, whole=True)
    namespaces.demand_unprotected(found)
    connection.execute(delete(definitions).where(_of(found, kind)))


def all_resource_types(connection: Connection) -> list[ResourceType]:
    """Give every resource type."""
    columns = resource_types.c
    rows = connection.execute(select(resource_types).order_by(columns.created_at, columns.name))
    return [ResourceType(row.name, row.created_at, row.updated_at) for row in rows]


def _insert(
    connection: Connection,
    namespace: Row[*tuple[Any, ...]],
    wanted: Iterable[Definition],
    *,
    updated: bool,
) -> list[Definition]:
    time = now()
    times = {"created_at": time, "updated_at": time if updated else None}
    made = []
    for one in wanted:
        _check([one.name, one.document])
        values = {
            "namespace": namespace.id,
            "kind": one.kind.value,
            "name": one.name,
            "document": dict(one.document),
            **times,
        }
        try:
            statement = insert(definitions).values(values).returning(definitions)
            made.append(_to_definition(connection.execute(statement).one()))
        except IntegrityError as error:
            raise ConflictError(_TAKEN[one.kind].format(one.name, namespace.namespace)) from error
        if one.kind is Kind.RESOURCE_TYPE:
            insert_if_new(connection, resource_types, {"name": one.name, **times})
    return made


def _update(
    connection: Connection, namespace: Row[*tuple[Any, ...]], name: str, wanted: Definition
) -> Row[*tuple[Any, ...]] | None:
    _check([wanted.name, wanted.document])
    statement = update(definitions).where(_of(namespace, wanted.kind), definitions.c.name == name)
    values = {"name": wanted.name, "document": dict(wanted.document), "updated_at": now()}
    return connection.execute(statement.values(values).returning(definitions)).one_or_none()


def _check(value: object) -> None:
    """Check every text in a document."""
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, Mapping):
        _check([*value, *value.values()])
    elif isinstance(value, list):
        for one in value:
            _check(one)


def _rows(
    connection: Connection, condition: ColumnElement[bool]
) -> Sequence[Row[*tuple[Any, ...]]]:
    return connection.execute(select(definitions).where(condition).order_by(definitions.c.id)).all()


def _of(namespace: Row[*tuple[Any, ...]], kind: Kind) -> ColumnElement[bool]:
    return and_(definitions.c.namespace == namespace.id, definitions.c.kind == kind.value)


def _within(namespace: str, kind: Kind) -> ColumnElement[bool]:
    spaces = schema.namespaces.c
    number = select(spaces.id).where(spaces.namespace == namespace).scalar_subquery()
    return and_(definitions.c.namespace == number, definitions.c.kind == kind.value)


def _vanished(namespace: str, kind: Kind, name: str) -> VanishedError:
    return VanishedError(_MISSING[kind].format(name, namespace))


def _to_definition(row: Row[*tuple[Any, ...]]) -> Definition:
    return Definition(Kind(row.kind), row.name, row.document, row.created_at, row.updated_at)
