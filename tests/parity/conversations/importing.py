"""Staging and importing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.parity.asking import (
    DATA,
    KEYSTONE,
    RAW,
    Conversation,
    active,
    ask,
    create,
    delete,
    each,
    get,
    post,
    show,
    talk,
    upload,
)

_IMPORT = "/v2/images/<image>/import"
_STAGE = "/v2/images/<image>/stage"
_DIRECT = {"method": {"name": "glance-direct"}}
_BODIES: dict[str, Any] = {
    "direct": _DIRECT,
    "no-method": {},
    "no-name": {"method": {}},
    "method-string": {"method": "glance-direct"},
    "method-null": {"method": None},
    "name-null": {"method": {"name": None}},
    "unknown": {"method": {"name": "teleport"}},
    "download-without-uri": {"method": {"name": "web-download"}},
    "download-empty-uri": {"method": {"name": "web-download", "uri": ""}},
    "download-bad-uri": {"method": {"name": "web-download", "uri": "rubbish"}},
    "download-file": {"method": {"name": "web-download", "uri": "file:///etc/passwd"}},
    "download-ftp": {"method": {"name": "web-download", "uri": "ftp://example.org/x"}},
    "download-port": {"method": {"name": "web-download", "uri": "http://127.0.0.1:22/x"}},
    "download-local": {"method": {"name": "web-download", "uri": "http://127.0.0.1/x"}},
    "download-localhost": {"method": {"name": "web-download", "uri": "http://localhost/x"}},
    "download-number": {"method": {"name": "web-download", "uri": 5}},
    "copy": {"method": {"name": "copy-image"}},
    "copy-all": {"method": {"name": "copy-image"}, "all_stores": True},
    "copy-stores": {"method": {"name": "copy-image"}, "stores": ["chunks"]},
    "glance-download": {"method": {"name": "glance-download"}},
    "stores": _DIRECT | {"stores": ["chunks"]},
    "stores-unknown": _DIRECT | {"stores": ["elsewhere"]},
    "stores-empty": _DIRECT | {"stores": []},
    "stores-string": _DIRECT | {"stores": "chunks"},
    "all-stores": _DIRECT | {"all_stores": True},
    "all-stores-string": _DIRECT | {"all_stores": "yes"},
    "all-and-some": _DIRECT | {"all_stores": True, "stores": ["chunks"]},
    "must-succeed-string": _DIRECT | {"all_stores_must_succeed": "yes"},
    "must-succeed-false": _DIRECT | {"all_stores_must_succeed": False, "all_stores": True},
    "extra": _DIRECT | {"more": 1},
    "list": [],
}
_STAGED = ask("PUT", _STAGE, body=b"staged data", kind=DATA)
_TASKS = get("/v2/images/<image>/tasks")


def conversations() -> Iterator[Conversation]:
    """Give them."""
    # Not in the open world: there Glance has no project that could own the task.
    for one in _imports():
        yield replace(one, world=KEYSTONE, user=one.user if one.world == KEYSTONE else "alice")
    yield talk("import/open", create(RAW), _STAGED, post(_IMPORT, _DIRECT))


def _imports() -> Iterator[Conversation]:
    stage = _STAGED
    # The task is a success before Glance takes its lock from the image.
    done = show(until=("/os_glance_import_task", None))
    yield from each(
        "import/queued",
        {label: [create(RAW), post(_IMPORT, body)] for label, body in _BODIES.items()},
    )
    staged = {
        label: [create(RAW), stage, post(_IMPORT, body)]
        for label, body in _BODIES.items()
        if label not in {"direct", "extra", "stores", "all-stores", "must-succeed-false"}
    }
    yield from each("import/staged", staged)
    yield from each(
        "import/active",
        {label: [*active(), post(_IMPORT, body)] for label, body in _BODIES.items()},
    )
    for label in ("direct", "extra", "stores", "all-stores", "must-succeed-false"):
        steps = [create(RAW), stage, show(), post(_IMPORT, _BODIES[label]), done]
        rest = [_TASKS, get("/v2/images/<image>/file"), post(_IMPORT, _DIRECT), stage]
        yield talk(f"import/whole/{label}", steps, rest)
    yield talk("import/no-formats", create(), stage, post(_IMPORT, _DIRECT), show())
    yield talk("import/missing", post("/v2/images/x/import", _DIRECT), get("/v2/images/x/tasks"))
    yield talk("stage/again", create(RAW), stage, stage, show(), upload(b"x"), show())
    yield talk("stage/delete", create(RAW), stage, delete("/v2/images/<image>"), show())
    yield talk("stage/chunked", create(RAW), ask("PUT", _STAGE, body=b"x", kind=DATA, chunked=True))
    yield talk("stage/empty", create(RAW), ask("PUT", _STAGE, body=b"", kind=DATA), show())
    yield talk("stage/download", create(RAW), stage, get("/v2/images/<image>/file"), _TASKS)
    yield talk("stage/missing", ask("PUT", "/v2/images/x/stage", body=b"x", kind=DATA))
    yield talk("stage/wrong-format", create(RAW | {"disk_format": "qcow2"}), stage, show())
    yield talk("tasks-of/none", create(), _TASKS, active(keep="image"), _TASKS)
    for user in ("admin", "amy", "bob", "ben", "nova", "norole", "nobody"):
        for visibility in ("private", "shared", "community"):
            yield talk(
                f"import/as/{user}-{visibility}",
                create(RAW | {"visibility": visibility}, user="alice"),
                ask("PUT", _STAGE, body=b"x", kind=DATA, user=user),
                post(_IMPORT, _BODIES["download-file"], user=user),
                get("/v2/images/<image>/tasks", user=user),
                show(user="alice"),
                world="keystone",
            )
    yield talk(
        "import/own",
        create(RAW),
        stage,
        post(_IMPORT, _DIRECT),
        done,
        _TASKS,
        world="keystone",
        user="admin",
    )
