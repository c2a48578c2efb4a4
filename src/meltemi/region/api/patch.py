"""Changes of an image, in the two media types that the API has for them.

Version 2.1 is JSON Patch (RFC 6902), version 2.0 an early draft of it, where the operation is a
key; both know `add`, `remove` and `replace`, and only pointers (RFC 6901) to whole attributes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from meltemi.errors import ForbiddenError, RefusedError
from meltemi.region.api.schemas import Checker

MEDIA_TYPES: Final = (
    "application/openstack-images-v2.0-json-patch",
    "application/openstack-images-v2.1-json-patch",
)
_OPERATIONS: Final = ("add", "remove", "replace")
_DEPTHS: Final = {("locations", "add"): 2, ("locations", "remove"): 2}
_READ_ONLY: Final = frozenset(
    {
        *("created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url"),
        *("self", "file", "schema", "id", "os_hash_algo", "os_hash_value"),
    }
)
RESERVED: Final = frozenset({"location", "deleted", "deleted_at"})
RESERVED_PREFIX: Final = "os_glance"


@dataclass(frozen=True, slots=True)
class Change:
    """One operation on one attribute.

    `strict` is the draft's rule that what is there already cannot be added.
    """

    operation: str
    path: tuple[str, ...]
    value: Any
    strict: bool

    @property
    def attribute(self) -> str:
        """Name what is changed."""
        return self.path[0]


def parse_changes(body: Any, media_type: str, checker: Checker) -> list[Change]:
    """Read a patch, and hold every value against the schema of images."""
    if not isinstance(body, list):
        raise RefusedError("Request body must be a JSON array of operation objects.")
    return [_change(raw, draft=media_type == MEDIA_TYPES[0], checker=checker) for raw in body]


def must_be_free(name: str) -> None:
    """Refuse names that images' owners cannot have properties of."""
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise ForbiddenError(f"Attribute '{name}' is reserved.")


def _change(raw: Any, *, draft: bool, checker: Checker) -> Change:
    if not isinstance(raw, dict):
        raise RefusedError("Operations must be JSON objects.")
    operation = _draft_operation(raw) if draft else _operation(raw)
    pointer = raw[operation] if draft else raw.get("path")
    if pointer is None:
        raise RefusedError("Unable to find 'path' in JSON Schema change")
    path = _path(pointer)
    if len(path) != _DEPTHS.get((path[0], operation), 1):
        raise RefusedError(f"Invalid JSON pointer for this resource: '/{'/'.join(path)}'")
    if operation != "remove" and "value" not in raw:
        raise RefusedError(f'Operation "{operation}" requires a member named "value".')
    if path[0] in _READ_ONLY:
        raise ForbiddenError(f"Attribute '{path[0]}' is read-only.")
    must_be_free(path[0])
    value = raw.get("value")
    if operation != "remove":
        checker.check({path[0]: [value] if len(path) > 1 else value})
    return Change(operation, path, value, strict=draft)


def _operation(raw: dict[str, Any]) -> str:
    known = f"It must be one of the following: {', '.join(_OPERATIONS)}."
    operation = raw.get("op")
    if operation is None:
        raise RefusedError(f"Unable to find `op` in JSON Schema change. {known}")
    if operation not in _OPERATIONS:
        raise RefusedError(f"Invalid operation: `{operation}`. {known}")
    return str(operation)


def _draft_operation(raw: dict[str, Any]) -> str:
    found: Sequence[str] = [name for name in _OPERATIONS if name in raw]
    if len(found) != 1:
        count = "only" if found else "exactly"
        raise RefusedError(
            f'Operation objects must contain {count} one member named "add", "remove", or '
            '"replace".'
        )
    return found[0]


def _path(pointer: Any) -> tuple[str, ...]:
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise RefusedError(f'Pointer `{pointer}` does not start with "/".')
    if re.search(r"/\s*?/", pointer[1:]):
        raise RefusedError(f'Pointer `{pointer}` contains adjacent "/".')
    if len(pointer) > 1 and pointer.endswith("/"):
        raise RefusedError(f'Pointer `{pointer}` end with "/".')
    if re.search("~[^01]", pointer) or pointer.endswith("~"):
        raise RefusedError(
            f'Pointer `{pointer}` contains "~" not part of a recognized escape sequence.'
        )
    parts = pointer.lstrip("/").split("/")
    return tuple(part.replace("~1", "/").replace("~0", "~").strip() for part in parts)
