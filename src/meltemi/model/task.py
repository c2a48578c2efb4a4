"""Tasks: work that goes on after its request was answered, and what it shows on its image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from meltemi.model.listing import Viewer

IMPORT_TASK: Final = "os_glance_import_task"
IMPORTING: Final = "os_glance_importing_to_stores"
FAILED: Final = "os_glance_failed_import"
"""Properties of an image that is, or was, imported; nobody else sets them."""

CARRIED: Final = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")
"""How the names of properties begin that come along with an image."""

TASK_KEYS: Final = (
    *("id", "type", "status", "owner", "created_at", "updated_at", "expires_at"),
    *("image_id", "user_id", "request_id"),
)
"""What tasks can be ordered by and chosen by."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task of `pending`, `processing`, then `success` or `failure`, which are final.

    `owner` is a project. `input` and `result` are JSON objects. Times are ISO 8601 in UTC; a task
    has `expires_at` once it has ended, and is forgotten then.
    """

    id: str
    type: str
    owner: str | None = None
    status: str = "pending"
    input: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    message: str = ""
    image_id: str | None = None
    user_id: str | None = None
    request_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class TaskListing:
    """One page of tasks: the viewer's own, to an admin all.

    `conditions` has the values that keys of TASK_KEYS must have. The order is that of `sort_key`,
    then of creation; `marker` is the id of the last task of the page before.
    """

    viewer: Viewer
    conditions: Mapping[str, str]
    sort_key: str = "created_at"
    descends: bool = True
    limit: int = 25
    marker: str | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """What an image takes over from the one that it was imported from."""

    disk_format: str
    container_format: str
    properties: Mapping[str, str]


def begun(properties: Mapping[str, str], task: str, store: str | None) -> dict[str, str]:
    """Show on an image that a task gives it its data, and imports it into a store, if it does."""
    stores = {} if store is None else {IMPORTING: store, FAILED: ""}
    return {**properties, IMPORT_TASK: task, **stores}


def ended(properties: Mapping[str, str]) -> dict[str, str]:
    """Show on an image that its import has come to a good end."""
    rest = {name: value for name, value in properties.items() if name != IMPORT_TASK}
    return {**rest, IMPORTING: ""} if IMPORTING in rest else rest


def failed(properties: Mapping[str, str]) -> dict[str, str]:
    """Show on an image that its task has failed; do nothing where there was none."""
    if IMPORT_TASK not in properties:
        return dict(properties)
    rest = ended(properties)
    return {**rest, FAILED: properties[IMPORTING]} if properties.get(IMPORTING) else rest
