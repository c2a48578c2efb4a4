"""Parts: data that came for an image which is put together; each function is of one transaction."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from meltemi.catalogue.images import state
from meltemi.catalogue.schema import holders, parts
from meltemi.errors import ConflictError, SessionLostError
from meltemi.model.record import Part

TAKING: Final = ("queued", "saving", "importing")
"""Statuses of images that parts may come for: also while others of them are being put together."""


def add(connection: Connection, image: str, part: Part, holder: str) -> None:
    """Let an image have a part, which is stored by now; its holder is needed no longer."""
    found = state(connection, image, lock=True)
    if found.status not in TAKING:
        raise ConflictError(f"image {image}: it is {found.status}, and takes no parts")
    if not connection.execute(delete(holders).where(holders.c.id == holder)).rowcount:
        raise SessionLostError(
            f"image {image}: part {part.number} took so long to store that it was given up; "
            "send it again"
        )
    row = {"content": part.content, "image": image, "number": part.number, "size": part.size}
    try:
        connection.execute(insert(parts).values(row))
    except IntegrityError as error:
        raise ConflictError(f"image {image}: it has a part {part.number} already") from error


def listed(connection: Connection, image: str) -> Sequence[Part]:
    """Give an image's parts."""
    found = select(parts.c.number, parts.c.content, parts.c.size).where(parts.c.image == image)
    return [Part(*row) for row in connection.execute(found.order_by(parts.c.number))]
