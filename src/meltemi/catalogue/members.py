"""Whom images are offered to, and what projects have; each function is part of one transaction."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from meltemi.catalogue.images import UNFINISHED, now, vanished
from meltemi.catalogue.schema import images, members, parts
from meltemi.errors import ConflictError, VanishedError
from meltemi.model.image import Member

_COLUMNS: Final = (members.c.project, members.c.status, members.c.created_at, members.c.updated_at)


def listed(connection: Connection, image: str) -> list[Member]:
    """Give those whom an image is offered to."""
    statement = select(*_COLUMNS).where(members.c.image == image).order_by(members.c.project)
    found = [_to_member(row) for row in connection.execute(statement)]
    if not found:
        _demand(connection, image)
    return found


def offer(connection: Connection, image: str, member: Member) -> Member:
    """Offer an image to a project."""
    _demand(connection, image, lock=True)
    time = now()
    values = {"status": member.status, "created_at": time, "updated_at": time}
    try:
        connection.execute(insert(members).values(image=image, project=member.id, **values))
    except IntegrityError as error:
        raise ConflictError(
            f"image {image}: it is offered to project {member.id} already"
        ) from error
    return Member(member.id, **values)


def answer(connection: Connection, image: str, member: Member) -> Member:
    """Set what a project says to an image."""
    statement = update(members).where(_is(image, member.id))
    statement = statement.values(status=member.status, updated_at=now())
    row = connection.execute(statement.returning(*_COLUMNS)).one_or_none()
    if row is None:
        raise _missing(image, member.id)
    return _to_member(row)


def withdraw(connection: Connection, image: str, project: str) -> None:
    """Offer an image to a project no longer."""
    if not connection.execute(delete(members).where(_is(image, project))).rowcount:
        raise _missing(image, project)


def usage(connection: Connection, project: str | None) -> Mapping[str, int]:
    """Sum what a project has."""
    staged = images.c.status.in_(UNFINISHED)
    kept = images.c.content.is_not(None) & ~staged
    size = func.coalesce(images.c.size, 0)
    sums = {
        "images": func.count(),
        "bytes": _sum(size, kept),
        "uploading": func.count().filter(staged | (images.c.status == "saving")),
        "staged_bytes": _sum(size, staged),
    }
    statement = select(*sums.values()).select_from(images).where(images.c.owner == project)
    found = dict(zip(sums, map(int, connection.execute(statement).one()), strict=True))
    in_parts = select(func.coalesce(func.sum(parts.c.size), 0)).where(
        images.c.owner == project, parts.c.image == images.c.id
    )
    found["staged_bytes"] += int(connection.scalar(in_parts) or 0)
    return found


def _sum(size: ColumnElement[int], condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(size).filter(condition), 0)


def _demand(connection: Connection, image: str, *, lock: bool = False) -> None:
    """See that an image is there; locked, it stays until the end of the transaction."""
    statement = select(images.c.id).where(images.c.id == image)
    if lock:
        statement = statement.with_for_update(read=True, key_share=True)
    if connection.scalar(statement) is None:
        raise vanished(image)


def _is(image: str, project: str) -> ColumnElement[bool]:
    return and_(members.c.image == image, members.c.project == project)


def _missing(image: str, project: str) -> VanishedError:
    return VanishedError(f"image {image}: it is not offered to project {project}")


def _to_member(row: Row[*tuple[Any, ...]]) -> Member:
    return Member(row.project, row.status, row.created_at, row.updated_at)
