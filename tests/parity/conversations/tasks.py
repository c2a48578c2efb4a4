"""The tasks API."""

from collections.abc import Iterator
from typing import Any

from tests.parity.asking import Conversation, delete, each, get, head, identifier, post, talk

_INPUT = {
    "import_from": "http://127.0.0.1:1/x",
    "import_from_format": "raw",
    "image_properties": {"name": "t"},
}
_BODIES: dict[str, Any] = {
    "none": {},
    "no-input": {"type": "import"},
    "no-type": {"input": {}},
    "empty-input": {"type": "import", "input": {}},
    "null-input": {"type": "import", "input": None},
    "string-input": {"type": "import", "input": "x"},
    "unknown": {"type": "export", "input": {}},
    "number": {"type": 5, "input": {}},
    "api-image-import": {"type": "api_image_import", "input": _INPUT},
    "location-import": {"type": "location_import", "input": _INPUT},
    "file": {"type": "import", "input": _INPUT | {"import_from": "file:///etc/passwd"}},
    "swift": {"type": "import", "input": _INPUT | {"import_from": "swift://x"}},
    "bad-property": {"type": "import", "input": _INPUT | {"image_properties": {"location": "x"}}},
    "no-properties": {"type": "import", "input": {"import_from": "http://x"}},
    "no-format": {"type": "import", "input": {"import_from": "http://x", "image_properties": {}}},
    "extra": {"type": "import", "input": {}, "more": 1},
    "readonly": {"type": "import", "input": {}, "status": "success"},
}


def conversations() -> Iterator[Conversation]:
    """Give them."""
    yield from each("tasks/create", {key: post("/v2/tasks", one) for key, one in _BODIES.items()})
    missing = identifier("task")
    yield talk(
        "tasks/missing",
        get(f"/v2/tasks/{missing}"),
        get("/v2/tasks/x"),
        head("/v2/tasks"),
        delete(f"/v2/tasks/{missing}"),
    )
    queries = (
        *(
            "status=rubbish",
            "type=rubbish",
            "limit=x",
            "limit=-1",
            "limit=0",
            "marker=x",
            "sort_dir=x",
        ),
        *(f"marker={missing}", "sort_key=rubbish", "type=import&limit=0", "status=pending&limit=0"),
        *("limit=0&sort_key=created_at&sort_dir=asc", "limit=", "marker="),
    )
    yield from each("tasks/list", {f"{n}": get(f"/v2/tasks?{q}") for n, q in enumerate(queries)})
