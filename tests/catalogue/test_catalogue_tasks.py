"""Tasks, and what imports do to their images."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from meltemi.catalogue.database import Database
from meltemi.catalogue.sql import SqlCatalogue
from meltemi.errors import ConflictError, RefusedError, VanishedError
from meltemi.model.image import Hashes
from meltemi.model.record import Content
from meltemi.model.task import FAILED, IMPORT_TASK, IMPORTING, Carried, Task, TaskListing
from tests.catalogue.recording import ADMIN, NOBODY, OTHER, OWNER, data, filled, fresh

HOLDER = "holder"


def a_task(image: str | None = None, **attributes: Any) -> Task:
    """Make a task of `owner`'s with an id of its own."""
    given = {"owner": "owner", "input": {"k": ["v", None, 1]}, "user_id": "u", "request_id": "r"}
    return Task(str(uuid4()), "api_image_import", image_id=image, **given | attributes)


async def staged(catalogue: SqlCatalogue, content: Content) -> str:
    """Take in an image whose data is staged."""
    image = (await catalogue.add(fresh(properties={"k": "v"}))).image.id
    await catalogue.hold(image, expected=["queued"], status="uploading", holder=HOLDER)
    record = await catalogue.move(
        image, expected=["uploading"], status="uploading", content=content, holder=HOLDER
    )
    assert record.content == content.id
    assert (record.image.size, record.image.hashes) == (content.size, Hashes())
    return image


async def begun(catalogue: SqlCatalogue, *, status: str = "queued") -> Task:
    """Let the import of an image begin that has no data yet."""
    task = a_task((await catalogue.add(fresh(properties={"k": "v"}, status=status))).image.id)
    await catalogue.tasks.begin(task, expected=[status], store="chunks", holder=HOLDER)
    return task


async def test_a_task_is_given_as_it_was_added(catalogue: SqlCatalogue) -> None:
    wanted = a_task("image", status="failure", message="m", result={"a": {}})
    added = await catalogue.tasks.add(wanted)
    assert added.created_at == added.updated_at is not None
    assert (added.expires_at or "") > (added.created_at or "")
    times = {key: getattr(added, key) for key in ("created_at", "updated_at", "expires_at")}
    assert added == replace(wanted, **times)
    assert await catalogue.tasks.get(wanted.id, ADMIN) == added
    assert (await catalogue.tasks.add(a_task())).expires_at is None
    with pytest.raises(ConflictError, match="in use"):
        await catalogue.tasks.add(wanted)


async def test_a_task_is_seen_by_its_project_alone(catalogue: SqlCatalogue) -> None:
    task = await catalogue.tasks.add(a_task("image"))
    common = await catalogue.tasks.add(a_task("image", owner=None))
    assert await catalogue.tasks.get(task.id, OWNER) == task
    for viewer in (OTHER, NOBODY):
        assert await catalogue.tasks.of_image("image", viewer) == [common]
        with pytest.raises(VanishedError, match=task.id):
            await catalogue.tasks.get(task.id, viewer)
        assert await catalogue.tasks.page(TaskListing(viewer, {})) == []
    assert await catalogue.tasks.of_image("image", OWNER) == [task, common]
    assert await catalogue.tasks.page(TaskListing(OWNER, {})) == [task]
    assert await catalogue.tasks.page(TaskListing(ADMIN, {})) == [common, task]
    with pytest.raises(VanishedError):
        await catalogue.tasks.page(TaskListing(OTHER, {}, marker=task.id))


@pytest.mark.parametrize("descends", [True, False])
@pytest.mark.parametrize("key", ["created_at", "image_id", "status", "id"])
async def test_pages_of_tasks(catalogue: SqlCatalogue, key: str, *, descends: bool) -> None:
    states = ["pending", "failure", "success"]
    added = [
        await catalogue.tasks.add(a_task(image, status=states[number % 3]))
        for number, image in enumerate(["a", "b", None, "a", "b", "a", None])
    ]
    listing = TaskListing(ADMIN, {}, key, descends, limit=2)
    found: list[Task] = []
    while page := await catalogue.tasks.page(listing):
        assert len(page) <= 2
        found += page
        listing = replace(listing, marker=found[-1].id)
    keys = [(getattr(one, key) or "", one.created_at, one.id) for one in added]
    assert [one.id for one in found] == [one[2] for one in sorted(keys, reverse=descends)]
    chosen = TaskListing(ADMIN, {"status": "failure", "image_id": "b"})
    assert await catalogue.tasks.page(chosen) == [added[4], added[1]]


async def test_a_task_that_names_no_store_shows_none(catalogue: SqlCatalogue) -> None:
    for content in (data(), None):
        image = (await catalogue.add(fresh(properties={"k": "v", FAILED: "x"}))).image.id
        task = a_task(image)
        _, record = await catalogue.tasks.begin(
            task, expected=["queued"], store=None, holder=HOLDER
        )
        assert record.image.properties == {"k": "v", FAILED: "x", IMPORT_TASK: task.id}
        if content:
            await catalogue.tasks.succeed(task.id, holder=HOLDER, content=content)
        else:
            await catalogue.tasks.fail(task.id, "no", holder=HOLDER)
        after = (await catalogue.get(image, ADMIN)).image
        assert after.status == ("active" if content else "queued")
        assert after.properties == {"k": "v", FAILED: "x"}


async def test_an_import_that_succeeds(catalogue: SqlCatalogue) -> None:
    task = await begun(catalogue)
    image = task.image_id or ""
    importing = await catalogue.get(image, ADMIN)
    assert importing.image.status == "importing"
    shown = {"k": "v", IMPORT_TASK: task.id, IMPORTING: "chunks", FAILED: ""}
    assert importing.image.properties == shown
    assert (await catalogue.tasks.get(task.id, OWNER)).status == "pending"
    await catalogue.tasks.advance(task.id, holder=HOLDER, message="half")
    held = await catalogue.tasks.get(task.id, OWNER)
    assert (held.status, held.message, held.expires_at) == ("processing", "half", None)
    content = data(3 * 2**20 + 7, virtual_size=9)
    carried = Carried("qcow2", "ovf", {"os_type": "linux", "k": "w"})
    record = await catalogue.tasks.succeed(task.id, holder=HOLDER, content=content, carried=carried)
    assert await catalogue.get(image, ADMIN) == record
    made = record.image
    assert (record.content, made.status, made.size) == (content.id, "active", content.size)
    assert (made.virtual_size, made.hashes) == (9, content.hashes)
    assert (made.disk_format, made.container_format) == ("qcow2", "ovf")
    assert made.properties == {"k": "w", "os_type": "linux", IMPORTING: "", FAILED: ""}
    done = await catalogue.tasks.get(task.id, OWNER)
    assert (done.status, done.message, done.result) == (
        "success",
        "Copied 3 MiB",
        {"image_id": image},
    )
    assert (done.expires_at or "") > (done.updated_at or "") > (task.created_at or "")


async def test_what_is_staged_becomes_the_data(catalogue: SqlCatalogue) -> None:
    content = data(12)
    image = await staged(catalogue, content)
    assert await catalogue.loose() == []
    with pytest.raises(ConflictError, match="no data"):
        await catalogue.clone(image, fresh())
    usage = {"images": 1, "bytes": 0, "uploading": 1, "staged_bytes": 12}
    assert await catalogue.usage("owner") == usage
    task = a_task(image)
    await catalogue.tasks.begin(task, expected=["uploading"], store="chunks", holder=HOLDER)
    assert await catalogue.usage("owner") == usage
    with pytest.raises(ConflictError, match="no data"):
        await catalogue.clone(image, fresh())
    record = await catalogue.tasks.succeed(task.id, holder=HOLDER, virtual_size=99)
    assert (record.content, record.image.hashes) == (content.id, content.hashes)
    clone = await catalogue.clone(image, fresh())
    assert (clone.image.size, clone.image.virtual_size) == (12, 99)


async def test_an_import_that_fails(catalogue: SqlCatalogue) -> None:
    content = data()
    task = a_task(await staged(catalogue, content))
    await catalogue.tasks.begin(task, expected=["uploading"], store="chunks", holder=HOLDER)
    assert await catalogue.tasks.fail(task.id, "why\0", holder=HOLDER)
    record = await catalogue.get(task.image_id or "", ADMIN)
    assert (record.image.status, record.image.size, record.content) == ("queued", None, None)
    assert record.image.properties == {"k": "v", IMPORTING: "", FAILED: "chunks"}
    assert await catalogue.loose() == [content]
    ended = await catalogue.tasks.get(task.id, OWNER)
    assert (ended.status, ended.message, ended.result) == (
        "failure",
        "why\N{REPLACEMENT CHARACTER}",
        None,
    )
    again = a_task(task.image_id)
    added, begun = await catalogue.tasks.begin(again, expected=["queued"], store="s", holder=HOLDER)
    assert added == await catalogue.tasks.get(again.id, OWNER)
    assert begun.image.properties == {"k": "v", IMPORT_TASK: again.id, IMPORTING: "s", FAILED: ""}


async def test_an_image_that_cannot_be_imported(catalogue: SqlCatalogue) -> None:
    full = (await filled(catalogue)).image.id
    half = (await catalogue.add(fresh())).image.id
    await catalogue.hold(half, expected=["queued"], status="uploading", holder="another")
    for image in (full, half):
        before = await catalogue.get(image, ADMIN)
        task = a_task(image)
        with pytest.raises(ConflictError, match=image):
            await catalogue.tasks.begin(
                task, expected=["queued", "uploading"], store="s", holder=HOLDER
            )
        assert await catalogue.get(image, ADMIN) == before
        assert await catalogue.tasks.of_image(image, ADMIN) == []
    with pytest.raises(VanishedError):
        await catalogue.tasks.begin(a_task("none"), expected=["queued"], store="s", holder=HOLDER)


async def test_an_image_that_is_deleted_meanwhile(catalogue: SqlCatalogue) -> None:
    task = await begun(catalogue)
    await catalogue.remove(task.image_id or "")
    with pytest.raises(VanishedError):
        await catalogue.tasks.advance(task.id, holder=HOLDER)
    with pytest.raises(VanishedError):
        await catalogue.tasks.succeed(task.id, holder=HOLDER, content=data())
    assert (await catalogue.tasks.get(task.id, OWNER)).status == "pending"
    assert await catalogue.loose() == []
    assert not await catalogue.tasks.fail(task.id, "gone", holder=HOLDER)
    assert (await catalogue.tasks.get(task.id, OWNER)).status == "failure"


async def test_what_a_dead_holder_was_at_work_on(catalogue: SqlCatalogue) -> None:
    kept = await staged(catalogue, data(5))
    dead = await begun(catalogue)
    living = a_task((await catalogue.add(fresh())).image.id)
    await catalogue.tasks.begin(living, expected=["queued"], store="s", holder="another")
    assert await catalogue.bury(HOLDER) == [dead.image_id]
    record = await catalogue.get(dead.image_id or "", ADMIN)
    assert record.image.status == "queued"
    assert record.image.properties == {"k": "v", IMPORTING: "", FAILED: "chunks"}
    ended = await catalogue.tasks.get(dead.id, OWNER)
    assert (ended.status, "Start it again" in ended.message) == ("failure", True)
    assert ended.expires_at is not None
    assert (await catalogue.get(kept, ADMIN)).image.status == "uploading"
    assert (await catalogue.tasks.get(living.id, OWNER)).status == "pending"
    for call in (
        catalogue.tasks.advance(dead.id, holder=HOLDER),
        catalogue.tasks.succeed(dead.id, holder=HOLDER, content=data()),
        catalogue.tasks.fail(dead.id, "late", holder=HOLDER),
        catalogue.tasks.advance(living.id, holder=HOLDER),
    ):
        with pytest.raises(ConflictError, match="given up"):
            await call
    assert await catalogue.get(dead.image_id or "", ADMIN) == record
    assert await catalogue.tasks.get(dead.id, OWNER) == ended
    with pytest.raises(VanishedError):
        await catalogue.tasks.advance("none", holder=HOLDER)


async def test_what_no_database_can_hold_ends_no_task(catalogue: SqlCatalogue) -> None:
    task = await begun(catalogue)
    carried = Carried("raw", "bare", {"os_type": "\0"})
    with pytest.raises(RefusedError, match="NUL"):
        await catalogue.tasks.succeed(task.id, holder=HOLDER, content=data(), carried=carried)
    assert (await catalogue.get(task.image_id or "", ADMIN)).image.status == "importing"


async def test_tasks_are_forgotten_when_their_time_is_over(
    catalogue: SqlCatalogue, url: str
) -> None:
    old, new = [await catalogue.tasks.add(a_task(status="success")) for _ in range(2)]
    pending = await catalogue.tasks.add(a_task())
    await catalogue.tasks.expire()
    database = Database(url)
    with database.writing() as connection:
        statement = text("UPDATE tasks SET expires_at = :time WHERE id = :id")
        connection.execute(statement, {"time": "2026-01-01T00:00:00.000000Z", "id": old.id})
    database.close()
    await catalogue.tasks.expire()
    assert await catalogue.tasks.page(TaskListing(ADMIN, {})) == [pending, new]
