"""What images borrow from other regions; each function is part of one transaction."""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from meltemi.catalogue.images import enlist, remember, to_content
from meltemi.catalogue.schema import contents, holders, images, loans
from meltemi.errors import ConflictError
from meltemi.model.record import Content, Loan

_COLUMNS: Final = tuple(
    loans.c[name] for name in ("hold", "region", "parent", "source", "content", "own")
)


def begin(connection: Connection, loan: Loan) -> None:
    """Take one in that is to be made."""
    row = {column.name: getattr(loan, column.name) for column in _COLUMNS}
    connection.execute(insert(loans).values(row | {"tries": 0}))


def claim_next(connection: Connection, holder: str) -> Loan | None:
    """Hold one that is to be made or ended, and that nobody else holds who lives."""
    enlist(connection, holder)
    dead = loans.c.holder.not_in(select(holders.c.id))
    free = or_(loans.c.holder.is_(None), loans.c.holder == holder, dead)
    wanted = select(loans.c.hold).where(free, or_(loans.c.content.is_(None), ~_is_used()))
    name = connection.scalar(wanted.order_by(loans.c.tries, loans.c.hold).limit(1))
    mine = update(loans).where(loans.c.hold == name, free)
    row = connection.execute(
        mine.values(holder=holder, tries=loans.c.tries + 1).returning(*_COLUMNS)
    ).one_or_none()
    return Loan(*row) if row else None


def is_used(connection: Connection, hold: str) -> bool:
    """Say whether images have the data that a loan is for."""
    found = select(loans.c.hold).where(loans.c.hold == hold, _is_used())
    return connection.scalar(found) is not None


def fill(connection: Connection, hold: str, content: Content, own: int, holder: str) -> None:
    """Let the images that have all of the data have a content instead that borrows."""
    row = _held(connection, hold, holder)
    # Images before contents, as everybody who needs both.
    having = select(images.c.id).where(images.c.content == row.source).with_for_update()
    if not connection.scalars(having).all():
        raise ConflictError(f"content {row.source}: no image has it any more")
    connection.execute(select(contents).where(contents.c.id == row.source).with_for_update())
    remember(connection, content)
    changed = update(images).where(images.c.content == row.source)
    connection.execute(changed.values(content=content.id, version=images.c.version + 1))
    mine = update(loans).where(loans.c.hold == hold)
    connection.execute(mine.values(content=content.id, own=own, holder=None))


def release(connection: Connection, hold: str, holder: str) -> None:
    """Hold one no longer."""
    mine = update(loans).where(loans.c.hold == hold, loans.c.holder == holder)
    connection.execute(mine.values(holder=None))


def end(connection: Connection, hold: str) -> None:
    """Strike one out."""
    connection.execute(delete(loans).where(loans.c.hold == hold))


def of(connection: Connection, content: str) -> Loan | None:
    """Give what a content borrows."""
    row = connection.execute(select(*_COLUMNS).where(loans.c.content == content)).one_or_none()
    return Loan(*row) if row else None


def whole(connection: Connection, content: str) -> Content:
    """Give a content with its sizes and hashes."""
    row = connection.execute(select(contents).where(contents.c.id == content)).one_or_none()
    if row is None:
        raise ConflictError(f"content {content}: it is gone")
    return to_content(row)


def _is_used() -> ColumnElement[bool]:
    return exists().where(images.c.content == func.coalesce(loans.c.content, loans.c.source))


def _held(connection: Connection, hold: str, holder: str) -> Row[*tuple[Any, ...]]:
    found = select(loans).where(loans.c.hold == hold, loans.c.holder == holder)
    row = connection.execute(found.with_for_update()).one_or_none()
    if row is None:
        raise ConflictError(f"hold {hold}: somebody else is at work on it, or nobody any more")
    return row
