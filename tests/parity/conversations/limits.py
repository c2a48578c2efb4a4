"""Quotas by Keystone's limits: reached by each kind of request, and what is told of them."""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.parity.asking import (
    DATA,
    LIMITS,
    RAW,
    Conversation,
    Request,
    active,
    ask,
    create,
    delete,
    get,
    patch,
    post,
    put,
    show,
    talk,
    upload,
)

_MIB = 2**20
_USAGE = get("/v2/info/usage")
_DIRECT = {"method": {"name": "glance-direct"}}
_DOWNLOAD = {"method": {"name": "web-download", "uri": "http://127.0.0.1/x"}}
_ENDED = get("/v2/images/<image>/tasks", until=("/tasks/0/status", "failure"))
_DONE = show(until=("/os_glance_import_task", None))


def conversations() -> Iterator[Conversation]:
    """Give them."""
    for name, requests in _written().items():
        yield talk(f"limits/{name}", requests, world=LIMITS, user="alice")


def _data(mebibytes: int, more: int = 0) -> bytes:
    return b"\x5a" * (mebibytes * _MIB + more)


def _stage(mebibytes: int, image: str = "image", **rest: Any) -> Request:
    path = f"/v2/images/<{image}>/stage"
    return ask("PUT", path, body=_data(mebibytes), kind=DATA, **rest)


def _too_much(mebibytes: int, image: str = "image", *, to: str = "file", **rest: Any) -> Request:
    """Announce data that is refused for its size, so that none of it needs to be sent."""
    headers = {"x-openstack-image-size": str(mebibytes * _MIB)}
    return ask("PUT", f"/v2/images/<{image}>/{to}", body=b"x", kind=DATA, headers=headers, **rest)


def _import(body: Any, image: str = "image", **rest: Any) -> Request:
    return post(f"/v2/images/<{image}>/import", body, **rest)


def _queued(*names: str, **rest: Any) -> list[Request]:
    return [create(RAW, keep=name, **rest) for name in names]


def _written() -> dict[str, Sequence[Request]]:
    full = active(_data(5), keep="full")
    everybody = ("admin", "alice", "amy", "bob", "ben", "nova", "norole", "nobody", "forged")
    return {
        "usage": [
            *active(_data(2, 7)),
            *_queued("staged"),
            _stage(1, "staged"),
            *[get("/v2/info/usage", user=user) for user in everybody],
            delete("/v2/images/<image>"),
            _USAGE,
        ],
        "usage/wrong": [put("/v2/info/usage"), get("/v2/info/usage?project_id=<project.blue>")],
        "count": [
            *_queued("a", "b", "image"),
            create(),
            create({"name": 5}),
            create({"owner": "somebody"}),
            create({f"p{n}": "v" for n in range(200)}),
            create(user="amy"),
            create(keep="other", user="bob"),
            _USAGE,
            delete("/v2/images/<b>"),
            create(keep="last"),
        ],
        "count/owner": [
            *[create({"owner": "somebody"}, keep=f"i{n}", user="admin") for n in range(4)],
            get("/v2/info/usage", user="admin"),
        ],
        "size": [
            *_queued("image"),
            *active(_data(4), keep="full"),
            _too_much(2),
            show(),
            upload(_data(1, 1000)),
            _USAGE,
        ],
        "size/reached": [
            *full,
            *_queued("image"),
            upload(b"less than a mebibyte"),
            upload(b"another", image="full"),
            _USAGE,
        ],
        "size/beyond": [
            *_queued("image"),
            upload(_data(7), chunked=True),
            show(),
            *_queued("other"),
            upload(b"x", image="other"),
            _import(_DIRECT, "other"),
            _import({}, "other"),
            upload(b"x", image="missing"),
            _USAGE,
        ],
        "size/told": [
            *_queued("image"),
            _too_much(6),
            _too_much(6, "missing"),
            upload(b"x", headers={"x-openstack-image-size": "many"}),
            upload(b"x", headers={"x-image-meta-store": "elsewhere"}),
            show(),
        ],
        "size/who": [
            *full,
            *_queued("image"),
            *[upload(b"x", user=user) for user in ("amy", "bob", "nova", "norole", "nobody")],
            upload(b"x", user="admin"),
            show(),
            get("/v2/info/usage", user="admin"),
        ],
        "size/kind": [
            *full,
            *_queued("image"),
            ask("PUT", "/v2/images/<image>/file", body=b"x", kind="text/plain"),
            patch({"op": "replace", "path": "/name", "value": "still"}),
        ],
        "stage": [
            *_queued("image", "other"),
            _too_much(4, to="stage"),
            show(),
            _stage(3),
            _USAGE,
            _too_much(1, "other", to="stage"),
            _too_much(1, "missing", to="stage"),
            _USAGE,
        ],
        "uploading": [
            *_queued("image", "other"),
            _stage(1),
            _stage(0, "other"),
            show("other"),
            upload(b"x", image="other"),
            show("other"),
            _USAGE,
            delete("/v2/images/<image>"),
            upload(_data(1), image="other"),
            show("other"),
        ],
        "import/whole": [*_queued("image"), _stage(2), _import(_DIRECT), _DONE, _USAGE],
        "import/beyond": [
            *active(_data(4), keep="full"),
            *_queued("image"),
            _stage(2),
            _import(_DIRECT),
            _ENDED,
            show(),
            _USAGE,
        ],
        "import/reached": [
            *_queued("image"),
            *full,
            _stage(1),
            _import(_DIRECT),
            _ENDED,
            _import({"method": {"name": "copy-image"}}, "full"),
            _import({"method": {"name": "teleport"}}),
            show(),
        ],
        "download/uploading": [
            *_queued("image", "staged"),
            _stage(1, "staged"),
            _import(_DOWNLOAD),
            _ENDED,
            show(),
            _USAGE,
        ],
        "download/staged": [
            *_queued("image", "staged"),
            _stage(4, "staged", chunked=True),
            _import(_DOWNLOAD),
            _ENDED,
            show(),
        ],
    }
