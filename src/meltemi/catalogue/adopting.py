"""What the adoption of a Glance does; each function is part of one transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal
from uuid import uuid4

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from meltemi.catalogue.adopting_base import Known
from meltemi.catalogue.images import (
    COLUMNS,
    enlist,
    now,
    remember,
    row_of,
    to_content,
    to_record,
)
from meltemi.catalogue.schema import (
    adopted,
    adoption,
    contents,
    holders,
    ids,
    images,
    members,
    passings,
)
from meltemi.errors import ConflictError, StaleRecordError
from meltemi.model.adoption import Adoption, Missing, Progress, Stage
from meltemi.model.image import Image, Member
from meltemi.model.record import REMOTE, Content, Record
from meltemi.model.task import IMPORT_TASK
from meltemi.transactions import insert_if_new

_Lock = Literal["share", "update"]
"""With `share`, others may read along; whoever is to change a row must not begin with that.

Of two who did, each would wait for the other.
"""

_THE_ONE: Final = 1
_UNDER_WAY: Final = (Stage.READING, Stage.RUNNING, Stage.FINISHING)
_HAS_DATA: Final = images.c.status.in_(("active", "deactivated"))
_AT_WORK: Final = images.c.status.in_(("saving", "uploading", "importing"))
_IS_REMOTE: Final = images.c.content.startswith(REMOTE)
_IS_HERE: Final = and_(_HAS_DATA, images.c.content.is_not(None), ~_IS_REMOTE)
_IS_ADOPTED: Final = exists(
    select(adopted.c.image).where(adopted.c.image == images.c.id).correlate(images)
)
_IS_MISSING: Final = and_(_IS_ADOPTED, or_(and_(_HAS_DATA, ~_IS_HERE), _AT_WORK))


def state(connection: Connection, *, lock: bool = False) -> Adoption | None:
    """Tell how the adoption stands; locked, it stays so."""
    row = _row(connection, lock="share" if lock else None)
    return None if row is None else _to_adoption(row)


def begin(connection: Connection, endpoint: str, follower: str) -> Adoption:
    """Begin or go on."""
    if _row(connection) is None:
        if _own(connection, limit=1):
            raise ConflictError("the region has images of its own: it cannot adopt a Glance")
        first = {"id": _THE_ONE, "endpoint": endpoint, "stage": Stage.READING, "started_at": now()}
        insert_if_new(connection, adoption, first)
    found = _row(connection, lock="update")
    if found.endpoint != endpoint:
        raise ConflictError(f"the region adopts another Glance, {found.endpoint}")
    if found.stage in (Stage.FINISHING, Stage.FINISHED):
        raise ConflictError(f"the adoption of {endpoint} is {found.stage}")
    _set(connection, follower=follower)
    return _to_adoption(found)


def follow(connection: Connection, follower: str) -> bool:
    """Become the follower, if there is none that lives."""
    free = _is_free(adoption.c.follower) | (adoption.c.follower == follower)
    return bool(_set(connection, adoption.c.stage == Stage.RUNNING, free, follower=follower))


def compared(connection: Connection, follower: str) -> None:
    """Say that all images have been compared."""
    found = _followed(connection, follower, lock="update")
    stage = Stage.RUNNING if found.stage == Stage.READING else found.stage
    _set(connection, stage=stage, compared_at=now())


def hearts(connection: Connection) -> Mapping[str, int]:
    """Tell how often hearts have beaten."""
    return {row.id: row.beats for row in connection.execute(select(holders))}


def names(connection: Connection) -> frozenset[str]:
    """Name all adopted images."""
    return frozenset(connection.scalars(select(adopted.c.image)))


def known(connection: Connection, wanted: Collection[str]) -> Mapping[str, Known]:
    """Give what is known of some images."""
    rows = connection.execute(select(*COLUMNS).where(images.c.id.in_(wanted)))
    found = {row.id: to_record(row).image for row in rows}
    offered: dict[str, list[Member]] = {name: [] for name in found}
    statement = select(members).where(members.c.image.in_(found)).order_by(members.c.project)
    for row in connection.execute(statement):
        offered[row.image].append(Member(row.project, row.status, row.created_at, row.updated_at))
    return {name: Known(image, tuple(offered[name])) for name, image in found.items()}


def version(connection: Connection, image: str) -> int | None:
    """Give the version of an image."""
    found: int | None = connection.scalar(select(images.c.version).where(images.c.id == image))
    return found


def is_settled(connection: Connection, image: str) -> bool:
    """Say whether an image is there, has its data, and nothing is at work on it."""
    settled = select(images.c.properties).where(images.c.id == image, _HAS_DATA)
    properties = connection.scalar(settled)
    return properties is not None and IMPORT_TASK not in properties


def add(connection: Connection, follower: str, found: Sequence[Known]) -> None:
    """Take over images that are not there."""
    _followed(connection, follower, lock="share")
    there = select(images.c.id).where(images.c.id.in_([one.image.id for one in found]))
    old = frozenset(connection.scalars(there))
    for one in found:
        if one.image.id not in old:
            _insert(connection, one)  # or somebody else does, who read it at the same time


def take(connection: Connection, found: Known, version: int | None) -> None:
    """Take over an image as it is."""
    _demand_under_way(connection)
    row = _locked(connection, found.image.id)
    if (None if row is None else row.version) != version:
        raise _stale(found.image.id)
    if row is None:
        if not _insert(connection, found):
            raise _stale(found.image.id)
        return
    content = _kept(connection, row, found.image)
    if content is None and _needs_data(found.image):
        content = _remote(connection, found.image)
        values = {"holder": None, "tries": 0, "problem": None}
        connection.execute(update(adopted).where(adopted.c.image == found.image.id).values(values))
    # Also where nothing is new: who read something older must notice.
    values = row_of(found.image) | {"content": content, "version": row.version + 1}
    connection.execute(update(images).where(images.c.id == found.image.id).values(values))
    connection.execute(delete(members).where(members.c.image == found.image.id))
    _offer(connection, found.image.id, found.members)


def drop(connection: Connection, image: str, version: int) -> None:
    """Take an image away."""
    _demand_under_way(connection)
    gone = delete(images).where(images.c.id == image, images.c.version == version, _IS_ADOPTED)
    if not connection.execute(gone).rowcount:
        raise _stale(image)


def claim(connection: Connection, image: str, holder: str) -> bool:
    """Hold an image, if nobody else does who lives."""
    remote = exists().where(images.c.id == adopted.c.image, _IS_REMOTE)
    enlist(connection, holder)
    free = or_(_is_free(adopted.c.holder), adopted.c.holder == holder)
    mine = update(adopted).where(adopted.c.image == image, free, remote)
    return bool(connection.execute(mine.values(holder=holder)).rowcount)


def claim_next(connection: Connection, holder: str) -> Record | None:
    """Hold the next image: what was never tried first, small ones before large ones."""
    wanted = (
        select(*COLUMNS)
        .join(adopted, adopted.c.image == images.c.id)
        .where(_HAS_DATA, _IS_REMOTE, _is_free(adopted.c.holder))
        .order_by(adopted.c.tries, images.c.size, images.c.id)
        .limit(1)
    )
    row = connection.execute(wanted).one_or_none()
    if row is None or not claim(connection, row.id, holder):
        return None
    return to_record(row)


def fill(connection: Connection, record: Record, content: Content, holder: str) -> None:
    """Give an image its data."""
    image = record.image.id
    row = _locked(connection, image)
    if row is None or row.content != record.content or row.fetcher != holder:
        raise ConflictError(f"image {image}: it is not held any more, or is to have other data")
    remember(connection, replace(content, virtual_size=row.virtual_size))
    values = {"content": content.id, "version": row.version + 1}
    connection.execute(update(images).where(images.c.id == image).values(values))
    connection.execute(delete(contents).where(contents.c.id == record.content))
    _give_back(connection, image, holder, {"tries": 0, "problem": None})


def release(
    connection: Connection, image: str, holder: str, problem: str | None, *, failed: bool
) -> None:
    """Hold an image no longer."""
    tries = adopted.c.tries + int(failed)
    _give_back(connection, image, holder, {"tries": tries, "problem": problem})


def begin_passing(connection: Connection, holder: str) -> tuple[Adoption | None, str | None]:
    """Announce a change, if changes are allowed."""
    found = state(connection, lock=True)
    if found is None or found.stage is not Stage.RUNNING:
        return found, None
    number = uuid4().hex
    connection.execute(insert(passings).values(id=number, holder=holder))
    return found, number


def end_passing(connection: Connection, passing: str) -> None:
    """Say that a change has been passed on."""
    connection.execute(delete(passings).where(passings.c.id == passing))


def count_passings(connection: Connection) -> int:
    """Count the changes that the living are passing on."""
    living = passings.c.holder.in_(select(holders.c.id))
    return connection.scalar(select(func.count()).select_from(passings).where(living)) or 0


def progress(connection: Connection) -> Progress:
    """Sum how far it is."""
    size = func.coalesce(images.c.size, 0)
    no_hash = images.c.checksum.is_(None) & images.c.os_hash_value.is_(None)
    sums = (
        func.count(),
        func.count().filter(_HAS_DATA),
        func.count().filter(_IS_HERE),
        func.count().filter(_IS_REMOTE, adopted.c.problem.is_not(None)),
        func.count().filter(_HAS_DATA, no_hash),
        func.coalesce(func.sum(size).filter(_HAS_DATA), 0),
        func.coalesce(func.sum(size).filter(_IS_HERE), 0),
    )
    joined = images.join(adopted, adopted.c.image == images.c.id)
    row = connection.execute(select(*sums).select_from(joined)).one()
    return Progress(*map(int, row))


def missing(connection: Connection) -> list[Missing]:
    """Give the images that are not wholly here."""
    columns = (images.c.id, images.c.name, images.c.status, adopted.c.problem)
    joined = images.join(adopted, adopted.c.image == images.c.id)
    statement = select(*columns).select_from(joined).where(_IS_MISSING).order_by(images.c.id)
    return [Missing(*row) for row in connection.execute(statement)]


def own(connection: Connection) -> list[str]:
    """Give the ids of the region's own images."""
    return _own(connection)


def pause(connection: Connection, follower: str) -> None:
    """Let nobody change anything."""
    ready = adoption.c.stage.in_((Stage.RUNNING, Stage.FINISHING))
    if not _set(connection, ready, stage=Stage.FINISHING, follower=follower):
        raise ConflictError("no adoption is running")


def resume(connection: Connection, follower: str) -> None:
    """Let it run again."""
    mine = (adoption.c.stage == Stage.FINISHING) & (adoption.c.follower == follower)
    _set(connection, mine, stage=Stage.RUNNING, follower=None)


def complete(connection: Connection, follower: str, without: Collection[str]) -> None:
    """Let the region stand alone."""
    found = _followed(connection, follower, lock="update")
    left = connection.scalars(select(images.c.id).where(_IS_MISSING, images.c.id.not_in(without)))
    if found.stage != Stage.FINISHING or left.first() is not None:
        raise ConflictError("the adoption cannot be finished: not everything is here")
    _forget(connection, adopted.c.image.in_(without))
    for column in (images.c.checksum, images.c.os_hash_value):
        _complete_hashes(connection, column)
    for table in (adopted, passings):
        connection.execute(delete(table))
    _set(connection, stage=Stage.FINISHED, follower=None)


def undo(connection: Connection) -> int:
    """Forget the adoption and its images."""
    found = _row(connection, lock="update")
    if found is None or found.stage == Stage.FINISHED:
        raise ConflictError(
            "no adoption is under way" if found is None else "the adoption is finished"
        )
    for table in (passings, adoption):
        connection.execute(delete(table))
    return _forget(connection, true())


def _row(connection: Connection, *, lock: _Lock | None = None) -> Any:
    statement = select(adoption).where(adoption.c.id == _THE_ONE)
    if lock is not None:
        statement = statement.with_for_update(read=lock == "share")
    return connection.execute(statement).one_or_none()


def _to_adoption(row: Any) -> Adoption:
    return Adoption(row.endpoint, Stage(row.stage), row.started_at, row.compared_at)


def _set(connection: Connection, *conditions: ColumnElement[bool], **values: Any) -> int:
    return connection.execute(update(adoption).where(*conditions).values(values)).rowcount


def _is_free(holder: Column[Any]) -> ColumnElement[bool]:
    """Say whether somebody holds something who lives: the dead are struck out."""
    return or_(holder.is_(None), holder.not_in(select(holders.c.id)))


def _followed(connection: Connection, follower: str, *, lock: _Lock) -> Any:
    found = _row(connection, lock=lock)
    if found is None or found.follower != follower or found.stage not in _UNDER_WAY:
        raise ConflictError("somebody else follows the Glance by now, or nobody any more")
    return found


def _demand_under_way(connection: Connection) -> None:
    found = _row(connection, lock="share")
    if found is None or found.stage not in _UNDER_WAY:
        raise ConflictError("no adoption is under way")


def _locked(connection: Connection, image: str) -> Any:
    """Give the row of an adopted image, with who brings its data; until the end it stays so."""
    joined = select(images, adopted.c.holder.label("fetcher")).join(
        adopted, adopted.c.image == images.c.id
    )
    return connection.execute(joined.where(images.c.id == image).with_for_update()).one_or_none()


def _insert(connection: Connection, found: Known) -> bool:
    """Take in an image; say whether it was not there, or came at this moment."""
    image = found.image
    insert_if_new(connection, ids, {"id": image.id})
    if not insert_if_new(connection, images, row_of(image) | {"version": 1}):
        return False
    if _needs_data(image):
        values = {"content": _remote(connection, image)}
        connection.execute(update(images).where(images.c.id == image.id).values(values))
    connection.execute(insert(adopted).values(image=image.id, tries=0))
    _offer(connection, image.id, found.members)
    return True


def _needs_data(image: Image) -> bool:
    return image.has_data and image.size is not None


def _remote(connection: Connection, image: Image) -> str:
    """Take in a content that is at the Glance; every one gets an id of its own."""
    name = f"{REMOTE}{image.id}/{uuid4().hex}"
    content = Content(name, image.size or 0, image.hashes, image.virtual_size)
    remember(connection, content)
    return name


def _kept(connection: Connection, row: Any, image: Image) -> str | None:
    """Give the content that an image has, if its data is still the same."""
    if row.content is None or not _needs_data(image) or row.size != image.size:
        return None
    content = connection.execute(select(contents).where(contents.c.id == row.content)).one()
    # What was computed here tells more than what the Glance had recorded.
    same = to_content(content).hashes.agree(image.hashes)
    if same is None:
        recorded = (row.checksum, row.os_hash_algo, row.os_hash_value)
        hashes = image.hashes
        same = recorded == (hashes.checksum, hashes.algorithm, hashes.value)
    return row.content if same else None


def _offer(connection: Connection, image: str, offered: Iterable[Member]) -> None:
    for member in offered:
        time = member.created_at or now()
        connection.execute(
            insert(members).values(
                image=image,
                project=member.id,
                status=member.status,
                created_at=time,
                updated_at=member.updated_at or time,
            )
        )


def _give_back(connection: Connection, image: str, holder: str, values: dict[str, Any]) -> None:
    mine = and_(adopted.c.image == image, adopted.c.holder == holder)
    connection.execute(update(adopted).where(mine).values({"holder": None, **values}))


def _own(connection: Connection, limit: int | None = None) -> list[str]:
    statement = select(images.c.id).where(~_IS_ADOPTED).order_by(images.c.id).limit(limit)
    return list(connection.scalars(statement))


def _forget(connection: Connection, which: ColumnElement[bool]) -> int:
    """Take adopted images away as if they had never been, so that they can come again."""
    chosen = select(adopted.c.image).where(which)
    connection.execute(delete(ids).where(ids.c.id.in_(chosen)))
    return connection.execute(delete(images).where(images.c.id.in_(chosen))).rowcount


def _complete_hashes(connection: Connection, column: Column[Any]) -> None:
    """Give images the hash that was computed here where the Glance has none."""
    names_ = ("checksum",) if column.name == "checksum" else ("os_hash_algo", "os_hash_value")
    values = {
        name: select(contents.c[name]).where(contents.c.id == images.c.content).scalar_subquery()
        for name in names_
    }
    lacking = and_(_IS_ADOPTED, _IS_HERE, column.is_(None))
    connection.execute(update(images).where(lacking).values(values))


def _stale(image: str) -> StaleRecordError:
    return StaleRecordError(f"image {image}: it has changed since it was read; read it again")
