"""What is done to namespaces of metadata definitions; each function is part of one transaction."""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from meltemi.catalogue.images import check_text, now
from meltemi.catalogue.schema import definitions, namespaces
from meltemi.errors import ConflictError, ForbiddenError, VanishedError
from meltemi.model.definitions import Kind, Namespace, NamespaceListing
from meltemi.model.listing import Viewer

_NULLABLE: Final = frozenset({"owner", "display_name", "description", "updated_at"})


def page(connection: Connection, listing: NamespaceListing) -> list[tuple[int, Namespace]]:
    """Give a page of namespaces, each with its number."""
    keys = dict.fromkeys((listing.sort_key, "created_at", "id"))
    columns = tuple(_sortable(key) for key in keys)
    statement = select(namespaces).where(_listed(listing.viewer))
    if listing.visibility is not None:
        statement = statement.where(namespaces.c.visibility == listing.visibility)
    if listing.resource_types is not None:
        statement = statement.where(_associated(listing.resource_types))
    if listing.marker is not None:
        marker = row(connection, listing.marker, listing.viewer).id
        values = connection.execute(select(*columns).where(namespaces.c.id == marker)).one()
        whole = tuple_(*columns)
        after = whole < tuple(values) if listing.descends else whole > tuple(values)
        statement = statement.where(after)
    statement = statement.order_by(*(key.desc() if listing.descends else key for key in columns))
    found = connection.execute(statement.limit(listing.limit))
    return [(one.id, to_namespace(one)) for one in found]


def row(connection: Connection, name: str, viewer: Viewer) -> Row[*tuple[Any, ...]]:
    """Give the row of a namespace that the viewer may see."""
    seen = or_(namespaces.c.owner.is_(None), _listed(viewer))
    statement = select(namespaces).where(namespaces.c.namespace == name, seen)
    found = connection.execute(statement).one_or_none()
    if found is None:
        raise missing(name)
    return found


def locked(
    connection: Connection, name: str, *, whole: bool = False
) -> Row[*tuple[Any, ...]] | None:
    """Give the row of a namespace that stays until the end of the transaction.

    With `whole`, nobody changes what it defines in the meantime either.
    """
    statement = select(namespaces).where(namespaces.c.namespace == name)
    statement = statement.with_for_update(read=not whole, key_share=not whole)
    return connection.execute(statement).one_or_none()


def held(connection: Connection, name: str, *, whole: bool) -> Row[*tuple[Any, ...]]:
    """Give such a row; VanishedError where there is none."""
    found = locked(connection, name, whole=whole)
    if found is None:
        raise missing(name)
    return found


def add(connection: Connection, namespace: Namespace, *, updated: bool) -> Row[*tuple[Any, ...]]:
    """Take in a namespace; `updated` says whether its making counts as an update."""
    time = now()
    values = _attributes(namespace) | {"created_at": time, "updated_at": time if updated else None}
    try:
        return connection.execute(insert(namespaces).values(values).returning(namespaces)).one()
    except IntegrityError as error:
        raise ConflictError(
            f"The metadata definition namespace={namespace.name} already exists."
        ) from error


def change(connection: Connection, name: str, wanted: Namespace) -> Namespace:
    """Replace a namespace's attributes."""
    statement = update(namespaces).where(namespaces.c.namespace == name)
    statement = statement.values(_attributes(wanted) | {"updated_at": now()})
    try:
        found = connection.execute(statement.returning(namespaces)).one_or_none()
    except IntegrityError as error:
        raise ConflictError(
            "Invalid update. It would result in a duplicate metadata definition namespace "
            f"with the same name of {wanted.name}"
        ) from error
    if found is None:
        raise missing(name)
    return to_namespace(found)


def remove(connection: Connection, name: str) -> None:
    """Delete a namespace and everything that it defines."""
    found = held(connection, name, whole=True)
    demand_unprotected(found)
    discard(connection, found.id)


def discard(connection: Connection, number: int) -> None:
    """Delete a namespace, protected or not."""
    connection.execute(delete(namespaces).where(namespaces.c.id == number))


def demand_unprotected(found: Row[*tuple[Any, ...]]) -> None:
    """Raise ForbiddenError where a namespace is protected."""
    if found.protected:
        raise ForbiddenError(
            f"Metadata definition namespace {found.namespace} is protected and cannot be deleted."
        )


def missing(name: str) -> VanishedError:
    """Say that a namespace is not there."""
    return VanishedError(f"Metadata definition namespace={name} was not found.")


def to_namespace(found: Row[*tuple[Any, ...]]) -> Namespace:
    """Read a row of `namespaces`."""
    return Namespace(
        name=found.namespace,
        owner=found.owner,
        display_name=found.display_name,
        description=found.description,
        visibility=found.visibility,
        protected=found.protected,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _attributes(namespace: Namespace) -> dict[str, Any]:
    for text in (
        namespace.name,
        namespace.owner,
        namespace.display_name,
        namespace.description,
    ):
        check_text(text or "")
    return {
        "namespace": namespace.name,
        "owner": namespace.owner,
        "display_name": namespace.display_name,
        "description": namespace.description,
        "visibility": namespace.visibility,
        "protected": namespace.protected,
    }


def _sortable(key: str) -> ColumnElement[Any]:
    column = namespaces.c[key]
    return func.coalesce(column, literal_column("''")) if key in _NULLABLE else column


def _listed(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.is_admin:
        return true()
    public = namespaces.c.visibility == "public"
    return public if viewer.project is None else or_(public, namespaces.c.owner == viewer.project)


def _associated(names: tuple[str, ...]) -> ColumnElement[bool]:
    association = definitions.c.kind == Kind.RESOURCE_TYPE.value
    return exists().where(
        definitions.c.namespace == namespaces.c.id, association, definitions.c.name.in_(names)
    )
