"""What is done to single images; each function is part of one transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    exists,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from meltemi.catalogue.schema import contents, holders, ids, images, parts
from meltemi.errors import (
    ConflictError,
    ForbiddenError,
    RefusedError,
    StaleRecordError,
    VanishedError,
)
from meltemi.model.image import Hashes, Image
from meltemi.model.record import REMOTE, Content, Record
from meltemi.transactions import insert_if_new

NO_DATA: Final = dict.fromkeys(
    ("content", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value")
)

STAGED: Final = "uploading"
UNFINISHED: Final = (STAGED, "importing")
"""Statuses of images whose content, if there is one, is not to be seen yet."""

AT_ONCE: Final = 500
"""How many images or contents are asked for at once."""

COLUMNS: Final = tuple(column for column in images.c if column is not images.c.holder)


def now() -> str:
    """Tell the time as the catalogue keeps it."""
    return to_time(datetime.now(UTC))


def to_time(time: datetime) -> str:
    """Write a time in UTC as the catalogue keeps it."""
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def vanished(image: str) -> VanishedError:
    """Say that an image is not there."""
    return VanishedError(f"image {image}: there is none with this id")


def to_record(row: Row[*tuple[Any, ...]]) -> Record:
    """Read a row of `images`."""
    # By place, since looking up each name takes longer than all the rest of it.
    (image, version, content, name, status, visibility, owner, size, virtual_size, *hashes) = row[
        :12
    ]
    (disk_format, container_format, min_disk, min_ram, protected, os_hidden) = row[12:18]
    (created_at, updated_at, tags, properties) = row[18:]
    return Record(
        Image(
            image,
            name,
            status,
            visibility,
            owner,
            size,
            virtual_size,
            Hashes(*hashes),
            disk_format,
            container_format,
            min_disk,
            min_ram,
            protected,
            os_hidden,
            frozenset(tags),
            properties,
            created_at,
            updated_at,
        ),
        content,
        version,
    )


def add(connection: Connection, record: Record) -> Record:
    """Take in an image without data."""
    image = record.image
    return _insert(connection, image, _metadata(image) | _data(image) | {"content": None})


def get(connection: Connection, image: str, seen: ColumnElement[bool]) -> Record:
    """Give an image of which a condition is true."""
    row = connection.execute(select(*COLUMNS).where(images.c.id == image, seen)).one_or_none()
    if row is None:
        raise vanished(image)
    return to_record(row)


def change(connection: Connection, record: Record) -> Record:
    """Replace an image's metadata where nobody has changed it since."""
    image = record.image
    values = _metadata(image) if record.content else _metadata(image) | _data(image)
    row = update_row(connection, image.id, images.c.version == record.version, values)
    if row is None:
        state(connection, image.id)
        raise StaleRecordError(f"image {image.id}: it has changed since it was read; read it again")
    return to_record(row)


def hold(
    connection: Connection, image: str, expected: Sequence[str], status: str, holder: str
) -> Record:
    """Change an image's status where it is one of those expected, for a holder at work on it."""
    enlist(connection, holder)
    return _moved(connection, image, expected, {"status": status, "holder": holder})


def enlist(connection: Connection, holder: str) -> None:
    """See that a holder counts among those who live: one that was buried may be back.

    Whoever buries it now does so after this transaction, and finds what it holds.
    """
    known = select(holders.c.id).where(holders.c.id == holder)
    if connection.scalar(known.with_for_update(read=True, key_share=True)) is None:
        insert_if_new(connection, holders, {"id": holder, "beats": 0})


def move(
    connection: Connection,
    image: str,
    expected: Sequence[str],
    status: str,
    *,
    content: Content | None,
    holder: str | None,
) -> Record:
    """Change an image's status where it is one of those expected; give it data, or take it away."""
    values: dict[str, Any] = {"status": status, "holder": None}
    if content is not None:
        staged = {**NO_DATA, "content": content.id, "size": content.size}
        values |= staged if status == STAGED else values_of(content)
        remember(connection, content)
        drop_parts(connection, image)
    elif status == "queued":
        values |= NO_DATA
    return _moved(connection, image, expected, values, holder)


def _moved(
    connection: Connection,
    image: str,
    expected: Sequence[str],
    values: dict[str, Any],
    holder: str | None = None,
) -> Record:
    held = true() if holder is None else images.c.holder == holder
    status = values["status"]
    row = update_row(connection, image, images.c.status.in_(expected) & held, values)
    if row is None:
        found = state(connection, image).status
        raise ConflictError(
            f"image {image}: it is {found}, and can become {status} only where it is "
            + " or ".join(expected)
        )
    return to_record(row)


def remove(connection: Connection, image: str) -> Content | None:
    """Delete an image; give its content where that was the last one to have it."""
    row = state(connection, image, lock=True)
    if row.protected:
        raise ForbiddenError(f"image {image}: it is protected, and not deleted")
    content = _lock(connection, row.content) if row.content else None
    connection.execute(delete(images).where(images.c.id == image))
    if content is None or _is_held(connection, content.id):
        return None
    return content


def clone(connection: Connection, image: str, record: Record) -> Record:
    """Take in an image that has the content of another."""
    content = _lock_content_of(connection, image)
    return _insert(connection, record.image, _metadata(record.image) | values_of(content))


def share(connection: Connection, image: str, source: str) -> Record:
    """Give a queued image the content of another one of the same formats."""
    content = _lock_content_of(connection, source)
    formats = (images.c.disk_format, images.c.container_format)
    found = connection.execute(select(*formats).where(images.c.id == source)).one()
    fits = and_(*(column == value for column, value in zip(formats, found, strict=True)))
    free = (images.c.status == "queued") & images.c.holder.is_(None)
    row = update_row(connection, image, free & fits, {"status": "active", **values_of(content)})
    drop_parts(connection, image)
    if row is None:
        status = state(connection, image).status
        raise ConflictError(
            f"image {image}: it is {status}, and can get the data of another image only where it "
            "is queued and has that one's formats"
        )
    return to_record(row)


def alike(
    connection: Connection, hashes: Hashes, seen: ColumnElement[bool], after: str
) -> list[Record]:
    """Give images with data of a hash, of which a condition is true."""
    wanted = (images.c.os_hash_value == hashes.value) & (images.c.os_hash_algo == hashes.algorithm)
    filled = images.c.content.is_not(None) & images.c.status.not_in(UNFINISHED)
    statement = select(*COLUMNS).where(wanted, filled, images.c.id > after, seen)
    rows = connection.execute(statement.order_by(images.c.id).limit(AT_ONCE))
    return [to_record(row) for row in rows]


def having(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """Give the images that have some contents, each with its content."""
    found: dict[str, str] = {}
    for first in range(0, len(names), AT_ONCE):
        wanted = images.c.content.in_(names[first : first + AT_ONCE])
        filled = images.c.status.not_in(UNFINISHED)
        rows = connection.execute(select(images.c.id, images.c.content).where(wanted, filled))
        found.update((row.id, row.content) for row in rows)
    return found


def loose(connection: Connection, limit: int) -> list[Content]:
    """Give contents that no image has, and parts that none waits for."""
    held = exists().where(images.c.content == contents.c.id)
    rows = connection.execute(select(contents).where(~held).order_by(contents.c.id).limit(limit))
    found = [to_content(row) for row in rows]
    columns = (parts.c.content, parts.c.size)
    rest = select(*columns).where(_is_left()).order_by(parts.c.content).limit(limit)
    return found + [Content(name, size, Hashes()) for name, size in connection.execute(rest)]


def forget(connection: Connection, content: str) -> None:
    """Take out a content that no image has."""
    if _lock(connection, content) and _is_held(connection, content):
        raise ConflictError(f"content {content}: images have it")
    connection.execute(delete(contents).where(contents.c.id == content))
    connection.execute(delete(parts).where(parts.c.content == content, _is_left()))


def has_data(connection: Connection) -> bool:
    """Say whether the chunk store should have any data."""
    here = exists().where(contents.c.id.not_like(f"{REMOTE}%"))
    return bool(connection.scalar(select(here)))


def get_content(connection: Connection, name: str) -> Content:
    """Give a content."""
    row = connection.execute(select(contents).where(contents.c.id == name)).one_or_none()
    if row is None:
        raise VanishedError(f"content {name}: there is none with this id")
    return to_content(row)


def known(connection: Connection, names: Sequence[str]) -> frozenset[str]:
    """Say which of these contents there are."""
    columns = (contents.c.id, parts.c.content)
    return frozenset(
        name
        for column in columns
        for name in connection.scalars(select(column).where(column.in_(names)))
    )


def _insert(connection: Connection, image: Image, values: dict[str, Any]) -> Record:
    try:
        connection.execute(insert(ids).values(id=image.id))
    except IntegrityError as error:
        raise ConflictError(f"image {image.id}: the id is or was in use") from error
    created = image.created_at or now()
    values |= {
        "id": image.id,
        "version": 1,
        "status": image.status,
        "created_at": created,
        "updated_at": image.updated_at or created,
    }
    return to_record(connection.execute(insert(images).values(values).returning(*COLUMNS)).one())


def update_row(
    connection: Connection, image: str, condition: ColumnElement[bool], values: dict[str, Any]
) -> Row[*tuple[Any, ...]] | None:
    """Change the row of an image where a condition is true of it; None where that is not so."""
    statement = update(images).where(images.c.id == image, condition)
    values |= {"version": images.c.version + 1, "updated_at": now()}
    return connection.execute(statement.values(values).returning(*COLUMNS)).one_or_none()


def state(connection: Connection, image: str, *, lock: bool = False) -> Row[*tuple[Any, ...]]:
    """Give what decides what may be done to an image; locked, it stays so."""
    names = ("status", "protected", "content", "holder", "properties")
    statement = select(*(images.c[name] for name in names)).where(images.c.id == image)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise vanished(image)
    return row


def row_of(image: Image) -> dict[str, Any]:
    """Give the row of an image, but for its content and version."""
    state = {name: getattr(image, name) for name in ("id", "status", "created_at", "updated_at")}
    return state | _metadata(image) | _data(image)


def _metadata(image: Image) -> dict[str, Any]:
    for text in (
        image.name,
        image.owner,
        *image.tags,
        *chain.from_iterable(image.properties.items()),
    ):
        check_text(text or "")
    return {
        "name": image.name,
        "visibility": image.visibility,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "protected": image.protected,
        "os_hidden": image.os_hidden,
        "tags": sorted(image.tags),
        "properties": dict(image.properties),
    }


def check_text(text: str) -> None:
    """Refuse what PostgreSQL would, and SQLite would not; of half characters, encoding tells."""
    if b"\0" in text.encode():
        raise RefusedError("a NUL in a text: the catalogue cannot hold it")


def _data(image: Image | Content) -> dict[str, Any]:
    return {
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksum": image.hashes.checksum,
        "os_hash_algo": image.hashes.algorithm,
        "os_hash_value": image.hashes.value,
    }


def values_of(content: Content) -> dict[str, Any]:
    """Give what the row of an image says of its content."""
    return {"content": content.id} | _data(content)


def to_content(row: Row[*tuple[Any, ...]]) -> Content:
    """Read a row of `contents`."""
    hashes = Hashes(row.checksum, row.os_hash_algo, row.os_hash_value)
    return Content(row.id, row.size, hashes, row.virtual_size, row.binding)


def remember(connection: Connection, content: Content) -> None:
    """Take in a content that no image has had yet."""
    try:
        row = {"id": content.id, "binding": content.binding} | _data(content)
        connection.execute(insert(contents).values(row))
    except IntegrityError as error:
        raise ConflictError(f"content {content.id}: it is there already") from error


def drop_parts(connection: Connection, image: str) -> None:
    """Let an image have no parts any more; their data is to be let go."""
    connection.execute(update(parts).where(parts.c.image == image).values(image=None))


def _is_left() -> ColumnElement[bool]:
    """Say that a part's image is gone, or has its data, perhaps from an older release."""
    filled = exists().where(images.c.id == parts.c.image, images.c.content.is_not(None))
    return parts.c.image.is_(None) | filled


def _lock_content_of(connection: Connection, image: str) -> Content:
    """Give the content of an image that has data, as `_lock` does."""
    while True:
        found = state(connection, image)
        name = found.content
        if name is None or found.status in UNFINISHED:
            raise ConflictError(f"image {image}: it has no data that could be shared")
        content = _lock(connection, name)
        # Only now is it sure that nobody lets go of the data. Anew where it is another by now.
        if content is not None and state(connection, image).content == name:
            return content


def _lock(connection: Connection, content: str) -> Content | None:
    """Give a content, which until the end of the transaction nobody else clones or lets go."""
    statement = select(contents).where(contents.c.id == content).with_for_update()
    row = connection.execute(statement).one_or_none()
    return to_content(row) if row else None


def _is_held(connection: Connection, content: str) -> bool:
    found = select(images.c.id).where(images.c.content == content).limit(1)
    return connection.scalar(found) is not None
