"""Parts: data that came for an image which is put together; each function is of one transaction."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from meltemi.catalogue.images import remember, state
from meltemi.catalogue.schema import contents, holders, parts
from meltemi.errors import ConflictError, SessionLostError
from meltemi.model.record import Content, Part

TAKING: Final = ("queued", "saving")
"""Statuses of images that parts may come for: also while others of them are being put together."""


def add(connection: Connection, image: str, number: int, content: Content, holder: str) -> None:
    """Let an image have a part, which is stored by now; its holder is needed no longer."""
    found = state(connection, image, lock=True)
    if found.status not in TAKING:
        raise ConflictError(f"image {image}: it is {found.status}, and takes no parts")
    if not connection.execute(delete(holders).where(holders.c.id == holder)).rowcount:
        raise SessionLostError(
            f"image {image}: part {number} took so long to store that it was given up; send "
            "it again"
        )
    remember(connection, content)
    try:
        connection.execute(insert(parts).values(image=image, number=number, content=content.id))
    except IntegrityError as error:
        raise taken(image, number) from error


def listed(connection: Connection, image: str) -> Sequence[Part]:
    """Give an image's parts."""
    found = select(parts.c.number, contents.c.id, contents.c.size).where(
        parts.c.image == image, parts.c.content == contents.c.id
    )
    return [Part(*row) for row in connection.execute(found.order_by(parts.c.number))]


def taken(image: str, number: int) -> ConflictError:
    """Say that an image has a part of that number."""
    return ConflictError(f"image {image}: it has a part {number} already")
