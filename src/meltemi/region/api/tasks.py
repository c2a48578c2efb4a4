"""Tasks: what became of imports; and the imports of old, which make their images themselves."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import web

from meltemi.errors import MeltemiError, RefusedError, VanishedError
from meltemi.model.record import Record
from meltemi.model.task import TASK_KEYS, Task, TaskListing
from meltemi.region.answers import document, refusal
from meltemi.region.api.editing import drafted
from meltemi.region.api.images import now_in_utc
from meltemi.region.api.imports import task_of
from meltemi.region.api.query import parse_limit
from meltemi.region.api.schemas import TASK, Checker
from meltemi.region.api.wire import to_the_second
from meltemi.region.data.uploading import must_have_formats
from meltemi.region.imports.importing import begin_import
from meltemi.region.quotas import COUNT, SIZE
from meltemi.region.service import Call

_STATES: Final = ("pending", "processing", "success", "failure")
_NEEDED: Final = ("import_from", "import_from_format", "image_properties")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_CHECKER: Final = Checker({**TASK, "additionalProperties": False})


async def listing(call: Call) -> web.Response:
    """Give a page of tasks, without what is in them."""
    _must_have_access(call)
    query = dict(call.request.query.items())
    wanted = _listing(call, query)
    try:
        found = await call.service.tasks.page(wanted)
    except VanishedError as error:
        raise RefusedError(f"Task with the given id {wanted.marker} was not found") from error
    query.pop("marker", None)
    body: dict[str, Any] = {
        "tasks": [_outline(task) for task in found],
        "first": f"/v2/tasks?{urlencode(query)}" if query else "/v2/tasks",
        "schema": "/v2/schemas/tasks",
    }
    if found and len(found) == wanted.limit:
        body["next"] = f"/v2/tasks?{urlencode({**query, 'marker': found[-1].id})}"
    return document(body)


async def show(call: Call) -> web.Response:
    """Give one task."""
    _must_have_access(call)
    return document(_whole(await call.service.tasks.get(call.path["task"], call.context.viewer)))


async def delete(call: Call) -> web.Response:
    """Refuse it: tasks go by themselves."""
    _must_have_access(call)
    return refusal(
        call.request,
        405,
        "This operation is currently not permitted on Glance Tasks. They are auto deleted after "
        "reaching the time based on their expires_at property.",
        detail=None,
        headers={"Allow": "GET"},
    )


async def of_image(call: Call) -> web.Response:
    """Give the tasks about one image, in the form in which Glance's database has them."""
    record = await call.image(missing="The resource could not be found.")
    found = await call.service.tasks.of_image(record.image.id, call.context.viewer)
    return document({"tasks": [_raw(task) for task in found]})


async def create(call: Call) -> web.Response:
    """Begin a task of the old kind, `import`; those of other kinds fail, as they do in Glance."""
    _must_have_access(call)
    body = await call.json()
    if not isinstance(body, dict):
        raise RefusedError("Task 'type' is required")
    for name in ("type", "input"):
        if name not in body:
            raise RefusedError(f"Task '{name}' is required")
    _CHECKER.check(body)
    given = body["input"] or {}
    if body["type"] == "import":
        await _must_be_fetchable(call, given.get("import_from"))
        task = await _import(call, given)
    else:
        image = given.get("image_id")
        task = task_of(
            *(call, body["type"], image if isinstance(image, str) else None, given),
            status="failure",
            message="Images are imported by POST /v2/images/{image_id}/import.",
        )
        task = await call.service.tasks.add(task)
    return document(
        _whole(task), status=201, headers={"Location": call.url(f"/v2/tasks/{task.id}")}
    )


async def _must_be_fetchable(call: Call, location: object) -> None:
    if not location or not isinstance(location, str):
        raise RefusedError(f"Invalid location: {location}")
    if location.startswith(("file:///", "filesystem:///")):
        raise RefusedError(
            "File based imports are not allowed. Please use a non-local source of image data."
        )
    if not location.startswith(("http://", "https://")):
        raise RefusedError(
            "The given uri is not valid. Please specify a valid uri from the following list of "
            "supported uri ['http']"
        )
    try:
        await call.service.web.check(location)
    except RefusedError:
        raise RefusedError(
            f"URI for legacy import task does not pass filtering: {location}"
        ) from None


async def _import(call: Call, given: Mapping[str, Any]) -> Task:
    """Make the image that a task describes, and begin to fetch its data."""
    try:
        record = await _made(call, given)
    except MeltemiError as error:
        failed = task_of(call, "import", None, given, status="failure", message=str(error))
        return await call.service.tasks.add(failed)
    task = task_of(call, "import", record.image.id, given)
    source = call.service.web.fetch(given["import_from"])
    added, _ = await begin_import(call.service, task, "queued", source)
    return added


async def _made(call: Call, given: Mapping[str, Any]) -> Record:
    for name in _NEEDED:
        if name not in given:
            raise RefusedError(f"Input does not contain '{name}' field")
    wanted = given["image_properties"] or {"disk_format": "qcow2", "container_format": "bare"}
    body = call.service.image_checker.check(wanted)
    identifier = body.get("id") or str(uuid4())
    image = drafted(identifier, body, call.context.project, now_in_utc())
    must_have_formats(image)
    call.service.policy.demand_new_image(call.context, body)
    await call.service.quotas.demand(call.context.project, COUNT, 1)
    await call.service.quotas.demand(call.context.project, SIZE)
    call.must_be_allowed({}, image.properties)
    return await call.catalogue.add(Record(image))


def _must_have_access(call: Call) -> None:
    call.service.policy.demand(call.context, "tasks_api_access", {})


def _listing(call: Call, query: Mapping[str, str]) -> TaskListing:
    status, kind, marker = query.get("status"), query.get("type"), query.get("marker")
    direction, key = query.get("sort_dir", "desc"), query.get("sort_key", "created_at")
    if direction not in ("asc", "desc"):
        raise RefusedError(f"Invalid sort direction: {direction}")
    if status and status not in _STATES:
        raise RefusedError(f"Invalid status value: {status}")
    if kind and kind != "import":
        raise RefusedError(f"Invalid type value: {kind}")
    if marker and not _UUID.fullmatch(marker):
        raise RefusedError("Invalid marker format")
    if key not in TASK_KEYS:
        raise RefusedError("Sort key supplied was not valid.")
    settings = call.settings
    return TaskListing(
        call.context.viewer,
        {name: query[name] for name in TASK_KEYS if name in query},
        sort_key=key,
        descends=direction == "desc",
        limit=min(parse_limit(query.get("limit"), settings.page), settings.longest_page),
        marker=marker,
    )


def _outline(task: Task) -> dict[str, Any]:
    outline = {
        "id": task.id,
        "type": task.type,
        "status": task.status,
        "owner": task.owner,
        "created_at": to_the_second(task.created_at),
        "updated_at": to_the_second(task.updated_at),
        "self": f"/v2/tasks/{task.id}",
        "schema": "/v2/schemas/task",
    }
    if task.expires_at:
        outline["expires_at"] = to_the_second(task.expires_at)
    return outline


def _whole(task: Task) -> dict[str, Any]:
    links = {
        "image_id": task.image_id,
        "request_id": task.request_id,
        "user_id": task.user_id,
    }
    return {
        **_outline(task),
        "input": task.input,
        "message": task.message,
        "result": task.result,
        **{name: value for name, value in links.items() if value},
    }


def _raw(task: Task) -> dict[str, Any]:
    def time(text: str | None) -> str | None:
        return f"{text[:19]}.000000" if text else None

    return {
        "id": task.id,
        "type": task.type,
        "status": task.status,
        "owner": task.owner,
        "expires_at": time(task.expires_at),
        "created_at": time(task.created_at),
        "updated_at": time(task.updated_at),
        "deleted_at": None,
        "deleted": False,
        "image_id": task.image_id,
        "request_id": task.request_id,
        "user_id": task.user_id,
        "input": task.input,
        "result": task.result,
        "message": task.message,
    }
