"""What is done to tasks; each function is part of one transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    delete,
    false,
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

from meltemi.catalogue import importing
from meltemi.catalogue.images import check_text, now, to_time
from meltemi.catalogue.schema import tasks
from meltemi.errors import ConflictError, VanishedError
from meltemi.model.listing import Viewer
from meltemi.model.record import Content, Record
from meltemi.model.task import Carried, Task, TaskListing

LIFE: Final = timedelta(hours=48)
"""How long a task is remembered that has ended."""

_COLUMNS: Final = tuple(column for column in tasks.c if column is not tasks.c.holder)
_OPEN: Final = ("pending", "processing")


def add(connection: Connection, task: Task, holder: str | None = None) -> Task:
    """Take in a task."""
    time = now()
    for text in (task.owner, task.image_id, task.user_id, task.request_id, task.message):
        check_text(text or "")
    values = {
        "id": task.id,
        "type": task.type,
        "status": task.status,
        "holder": holder,
        "owner": task.owner,
        "input": task.input,
        "result": task.result,
        "message": task.message,
        "image_id": task.image_id,
        "user_id": task.user_id,
        "request_id": task.request_id,
        "created_at": time,
        "updated_at": time,
        "expires_at": None if task.status in _OPEN else _end(),
    }
    try:
        return _to_task(connection.execute(insert(tasks).values(values).returning(*_COLUMNS)).one())
    except IntegrityError as error:
        raise ConflictError(f"task {task.id}: the id is in use") from error


def begin(
    connection: Connection, task: Task, expected: Sequence[str], store: str | None, holder: str
) -> tuple[Task, Record]:
    """Take in a pending task, and let it import its image."""
    image = task.image_id or ""
    record = importing.begin(connection, image, expected, task=task.id, store=store, holder=holder)
    return add(connection, task, holder), record


def advance(connection: Connection, task: str, holder: str, message: str) -> None:
    """Say how far a task is."""
    found = _change(connection, task, holder, {"status": "processing", "message": message})
    importing.demand(connection, found.image_id or "", holder)


def succeed(
    connection: Connection,
    task: str,
    holder: str,
    *,
    content: Content | None,
    virtual_size: int | None,
    carried: Carried | None,
) -> Record:
    """End a task well."""
    values = {"status": "success", "expires_at": _end(), "holder": None}
    image = _change(connection, task, holder, values).image_id or ""
    record = importing.finish(
        connection, image, holder, content=content, virtual_size=virtual_size, carried=carried
    )
    told = {"result": {"image_id": image}, "message": f"Copied {_mebibytes(record)} MiB"}
    connection.execute(update(tasks).where(tasks.c.id == task).values(told))
    return record


def fail(connection: Connection, task: str, message: str, holder: str) -> bool:
    """End a task badly; say whether its image is there and queued again."""
    found = _change(connection, task, holder, _failure(message))
    return importing.give_back(connection, found.image_id or "", holder)


def bury(connection: Connection, holder: str) -> None:
    """End the tasks of a holder that is dead."""
    message = "The service ended in the middle of the task. Start it again."
    connection.execute(update(tasks).where(tasks.c.holder == holder).values(_failure(message)))


def get(connection: Connection, task: str, viewer: Viewer) -> Task:
    """Give a task that the viewer may see."""
    statement = select(*_COLUMNS).where(tasks.c.id == task, _seen(viewer))
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise vanished(task)
    return _to_task(row)


def page(connection: Connection, listing: TaskListing) -> list[Task]:
    """Give a page of tasks."""
    columns = tuple(_sortable(key) for key in dict.fromkeys((listing.sort_key, "created_at", "id")))
    chosen = [tasks.c[key] == value for key, value in listing.conditions.items()]
    statement = select(*_COLUMNS).where(_listed(listing.viewer), *chosen)
    if listing.marker is not None:
        find = select(*columns).where(tasks.c.id == listing.marker, _seen(listing.viewer))
        values = connection.execute(find).one_or_none()
        if values is None:
            raise vanished(listing.marker)
        whole = tuple_(*columns)
        after = whole < tuple(values) if listing.descends else whole > tuple(values)
        statement = statement.where(after)
    statement = statement.order_by(*(key.desc() if listing.descends else key for key in columns))
    return [_to_task(row) for row in connection.execute(statement.limit(listing.limit))]


def of_image(connection: Connection, image: str, viewer: Viewer) -> list[Task]:
    """Give the tasks about an image that the viewer may see."""
    statement = select(*_COLUMNS).where(tasks.c.image_id == image, _seen(viewer))
    rows = connection.execute(statement.order_by(tasks.c.created_at, tasks.c.id))
    return [_to_task(row) for row in rows]


def expire(connection: Connection) -> None:
    """Forget the tasks whose time is over."""
    connection.execute(delete(tasks).where(tasks.c.expires_at <= now()))


def vanished(task: str) -> VanishedError:
    """Say that a task is not there."""
    return VanishedError(f"Could not find task {task}")


def _change(
    connection: Connection, task: str, holder: str, values: dict[str, Any]
) -> Row[*tuple[Any, ...]]:
    statement = update(tasks).where(tasks.c.id == task, tasks.c.holder == holder)
    statement = statement.values(values | {"updated_at": now()})
    row = connection.execute(statement.returning(*_COLUMNS)).one_or_none()
    if row is None:
        get(connection, task, Viewer(None, is_admin=True))
        raise ConflictError(f"task {task}: it was given up meanwhile")
    return row


def _failure(message: str) -> dict[str, Any]:
    return {
        "status": "failure",
        "message": message.replace("\0", "\N{REPLACEMENT CHARACTER}"),
        "expires_at": _end(),
        "updated_at": now(),
        "holder": None,
    }


def _mebibytes(record: Record) -> int:
    return (record.image.size or 0) // 2**20


def _end() -> str:
    return to_time(datetime.now(UTC) + LIFE)


def _seen(viewer: Viewer) -> ColumnElement[bool]:
    return or_(tasks.c.owner.is_(None), _listed(viewer))


def _listed(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.is_admin:
        return true()
    return false() if viewer.project is None else tasks.c.owner == viewer.project


def _sortable(key: str) -> ColumnElement[Any]:
    return func.coalesce(tasks.c[key], literal_column("''"))


def _to_task(row: Row[*tuple[Any, ...]]) -> Task:
    return Task(**row._mapping)  # noqa: SLF001 - public, for all its underscore
