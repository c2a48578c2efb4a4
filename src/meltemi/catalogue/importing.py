"""What imports do to their images; each function is part of one transaction."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, select, update

from meltemi.catalogue.images import (
    NO_DATA,
    check_text,
    drop_parts,
    enlist,
    remember,
    state,
    to_content,
    to_record,
    update_row,
    values_of,
)
from meltemi.catalogue.schema import contents, images
from meltemi.errors import ConflictError
from meltemi.model.record import Content, Record
from meltemi.model.task import Carried, begun, ended, failed


def begin(
    connection: Connection,
    image: str,
    expected: Sequence[str],
    *,
    task: str,
    store: str | None,
    holder: str,
) -> Record:
    """Let an image be imported that nobody is at work on."""
    enlist(connection, holder)
    found = state(connection, image, lock=True)
    free = images.c.status.in_(expected) & images.c.holder.is_(None)
    shown = begun(found.properties, task, store)
    values = {"status": "importing", "holder": holder, "properties": shown}
    row = update_row(connection, image, free, values)
    if row is None:
        raise ConflictError(
            f"image {image}: it is {found.status}, and can be imported only where it is "
            f"{' or '.join(expected)} and nobody is at work on it"
        )
    return to_record(row)


def demand(connection: Connection, image: str, holder: str) -> None:
    """Raise ConflictError where an image is not, or no longer, a holder's."""
    found = state(connection, image)
    if found.holder != holder:
        raise _lost(image)


def finish(
    connection: Connection,
    image: str,
    holder: str,
    *,
    content: Content | None,
    virtual_size: int | None,
    carried: Carried | None,
) -> Record:
    """Let an image be active with its content, or with what was staged."""
    found = state(connection, image, lock=True)
    if content is not None:
        remember(connection, content)
    else:
        content = _staged(connection, found.content, virtual_size)
    drop_parts(connection, image)
    values: dict[str, Any] = {"status": "active", "holder": None, **values_of(content)}
    properties = ended(found.properties)
    if carried is not None:
        for text in chain.from_iterable(carried.properties.items()):
            check_text(text)
        properties |= carried.properties
        values["disk_format"] = carried.disk_format
        values["container_format"] = carried.container_format
    values["properties"] = properties
    row = update_row(connection, image, images.c.holder == holder, values)
    if row is None:
        raise _lost(image)
    return to_record(row)


def give_back(connection: Connection, image: str, holder: str) -> bool:
    """Queue an image again that a holder held; say whether it did."""
    held = images.c.holder == holder
    statement = select(images.c.properties).where(images.c.id == image, held).with_for_update()
    properties = connection.scalar(statement)
    if properties is None:
        return False
    values = {**NO_DATA, "status": "queued", "holder": None, "properties": failed(properties)}
    return update_row(connection, image, held, values) is not None


def _staged(connection: Connection, content: str, virtual_size: int | None) -> Content:
    statement = update(contents).where(contents.c.id == content).values(virtual_size=virtual_size)
    return to_content(connection.execute(statement.returning(contents)).one())


def _lost(image: str) -> ConflictError:
    return ConflictError(f"image {image}: its import was given up meanwhile")
