"""Locations: as by default, where nobody sees them, and where all of it is switched on."""

from collections.abc import Iterator
from hashlib import md5, sha512
from typing import Any

from tests.parity.asking import (
    FULL,
    KEYSTONE,
    OLD_PATCH,
    RAW,
    Conversation,
    Request,
    active,
    change,
    create,
    delete,
    each,
    get,
    patch,
    post,
    show,
    talk,
    upload,
)

_PATH = "/v2/images/<image>/locations"
_WEB = "<site>/data"
_DATA = b"data of a web site" * 1000
_HASH = sha512(_DATA).hexdigest()
_GOOD = {"os_hash_algo": "sha512", "os_hash_value": _HASH}
_WRONG = {"os_hash_algo": "sha512", "os_hash_value": sha512(b"other").hexdigest()}

_BODIES: dict[str, Any] = {
    "file": {"url": "file:///etc/passwd"},
    "http": {"url": "http://127.0.0.1/x"},
    "none": {},
    "number": {"url": 5},
    "null": {"url": None},
    "empty": {"url": ""},
    "list": [],
    "extra": {"url": "http://example.org/x", "more": 1},
    "data": {"url": "file:///x", "validation_data": {"os_hash_algo": "md5"}},
    "data-null": {"url": "file:///x", "validation_data": None},
    "data-empty": {"url": "file:///x", "validation_data": {}},
    "bad-data": {"url": "file:///x", "validation_data": {"rubbish": 1}},
    "bad-algorithm": {"url": "x", "validation_data": {"os_hash_algo": "x", "os_hash_value": "00"}},
    "unknown-store": {"url": "swift://x"},
}

_POSTED: dict[str, Any] = {
    "port": {"url": "http://127.0.0.1:22/x"},
    "host": {"url": "http://localhost/x"},
    "httpx": {"url": "httpx://127.0.0.1/x"},
    "upper": {"url": "HTTP://127.0.0.1/x"},
    "not-hexadecimal": {"url": _WEB, "validation_data": _GOOD | {"os_hash_value": "x" * 128}},
    "short": {"url": _WEB, "validation_data": _GOOD | {"os_hash_value": "00"}},
    "other-size": {"url": _WEB, "validation_data": _GOOD | {"os_hash_algo": "sha256"}},
}

_LOCATION: dict[str, Any] = {"url": _WEB, "metadata": {}}
_ADDED: dict[str, Any] = {
    "empty": {},
    "text": "text",
    "url-alone": {"url": _WEB},
    "number": {"url": 5, "metadata": {}},
    "long": {"url": "http://127.0.0.1/" + "x" * 256, "metadata": {}},
    "no-url": {"url": "", "metadata": {}},
    "rubbish": {"url": "rubbish", "metadata": {}},
    "file": {"url": "file:///etc/passwd", "metadata": {}},
    "swift": {"url": "swift://x", "metadata": {}},
    "port": {"url": "http://127.0.0.1:22/x", "metadata": {}},
    "host": {"url": "http://localhost/x", "metadata": {}},
    "private": {"url": "http://10.0.0.1/x", "metadata": {}},
    "data-extra": _LOCATION | {"validation_data": _GOOD | {"more": "x"}},
    "data-half": _LOCATION | {"validation_data": {"os_hash_algo": "sha512"}},
    "algorithm": _LOCATION | {"validation_data": _GOOD | {"os_hash_algo": "sha256"}},
    "not-hexadecimal": _LOCATION | {"validation_data": _GOOD | {"os_hash_value": "x"}},
    "short": _LOCATION | {"validation_data": _GOOD | {"os_hash_value": "00"}},
    "checksum": _LOCATION | {"validation_data": _GOOD | {"checksum": "x" * 32}},
    "checksum-short": _LOCATION | {"validation_data": _GOOD | {"checksum": "00"}},
    "checksum-odd": _LOCATION | {"validation_data": _GOOD | {"checksum": "00 " * 10 + "00"}},
}


def conversations() -> Iterator[Conversation]:
    """Give them."""
    yield from _by_default()
    yield from _shown()
    yield from _posted()
    yield from _patched()
    yield from _as()


def _by_default() -> Iterator[Conversation]:
    for label, body in _BODIES.items():
        yield talk(f"locations/{label}", create(RAW), post(_PATH, body), get(_PATH), show())
        for user in ("alice", "admin", "nova", "amy", "bob"):
            name = f"locations/{label}-as-{user}"
            made = create(RAW, user="alice")
            yield talk(
                name, made, post(_PATH, body, user=user), get(_PATH, user=user), world=KEYSTONE
            )
    yield talk("locations/active", active(), post(_PATH, _BODIES["http"]))
    yield talk("locations/missing", post("/v2/images/x/locations", {"url": "x"}))
    for user in ("alice", "admin", "nova", "amy", "bob", "nobody"):
        yield talk(
            f"locations/hidden/{user}",
            create(RAW | {"visibility": "community"}, user="alice"),
            patch(change("add", "/locations/-", _LOCATION), user=user),
            patch(change("replace", "/locations", [_LOCATION]), user=user),
            patch(change("replace", "/locations", []), user=user),
            patch(change("remove", "/locations/0"), user=user),
            world=KEYSTONE,
        )


def _shown() -> Iterator[Conversation]:
    off = post("/v2/images/<image>/actions/deactivate", user="admin")
    for user in ("alice", "admin", "nova", "amy", "bob"):
        yield talk(
            f"locations/shown/{user}",
            create({"name": "queued", "visibility": "public"}, keep="queued", user="admin"),
            get("/v2/images/<queued>", user=user),
            create(RAW | {"visibility": "community"}, user="alice"),
            show(user=user),
            upload(b"0123456789"),
            show(user=user),
            get("/v2/images?visibility=community", user=user),
            get(_PATH, user=user),
            off,
            show(user=user),
            get(_PATH, user=user),
            world=FULL,
            user="alice",
        )


def _posted() -> Iterator[Conversation]:
    for label, body in {**_BODIES, **_POSTED}.items():
        if label != "http":  # that is allowed, and nobody listens there
            yield talk(
                f"locations/post/{label}",
                *(create(RAW), post(_PATH, body), show()),
                world=FULL,
                user="alice",
            )
    done = show(until=("/os_glance_import_task", None))
    by_md5 = {"os_hash_algo": "md5", "os_hash_value": md5(_DATA).hexdigest()}
    for label, body in {
        "plain": {"url": _WEB},
        "validated": {"url": _WEB, "validation_data": _GOOD},
        "by-md5": {"url": _WEB, "validation_data": by_md5},
    }.items():
        yield talk(
            f"locations/web/{label}",
            *(create(RAW), post(_PATH, body), done, get(_PATH, user="admin"), post(_PATH, body)),
            world=FULL,
            user="alice",
        )
    yield talk(
        "locations/web/wrong",
        create(RAW),
        post(_PATH, {"url": _WEB, "validation_data": _WRONG}),
        done,
        get("/v2/images/<image>/tasks", until=("/tasks/0/status", "failure")),
        world=FULL,
        user="alice",
    )
    yield talk("locations/web/formats", create(), post(_PATH, {"url": _WEB}), world=FULL)
    yield talk(
        "locations/own/service",
        active(keep="full"),
        get("/v2/images/<full>/locations", user="nova", keep={"url": "/0/url"}),
        create(RAW),
        post(_PATH, {"url": "<url>"}, user="nova"),
        world=FULL,
        user="alice",
    )


def _patched() -> Iterator[Conversation]:
    def add(value: Any, place: str = "-", **rest: Any) -> Request:
        return patch(change("add", f"/locations/{place}", value), **rest)

    def replace(*values: Any) -> Request:
        return patch(change("replace", "/locations", list(values)))

    rest: dict[str, Any] = {"world": FULL, "user": "alice"}
    yield from each(
        "locations/add",
        {label: [create(RAW), add(value), show()] for label, value in _ADDED.items()},
        **rest,
    )
    yield from each(
        "locations/replace",
        {
            label: [create(RAW), replace(value), show()]
            for label, value in _ADDED.items()
            if label in ("empty", "rubbish", "file", "port", "algorithm", "checksum")
        },
        **rest,
    )
    places = ("x", "-1", "1x", "", "0/1", "~1")
    yield from each(
        "locations/place",
        {f"{n}": [create(RAW), add(_LOCATION, place)] for n, place in enumerate(places)},
        **rest,
    )
    done = show(until=("/status", "active"))
    yield from each(
        "locations/given",
        {
            "add": [create(RAW), add(_LOCATION), done],
            "add-at-5": [create(RAW), add(_LOCATION, "5"), done],
            "add-by-the-draft": [
                create(RAW),
                patch({"add": "/locations/-", "value": _LOCATION}, kind=OLD_PATCH),
                done,
            ],
            "replace": [create(RAW), replace(_LOCATION), done],
            "validated": [
                create(RAW),
                add(_LOCATION | {"validation_data": _GOOD}),
                done,
            ],
            "with-others": [
                create(),
                patch(
                    change("replace", "/disk_format", "raw"),
                    change("replace", "/container_format", "bare"),
                    change("add", "/locations/-", _LOCATION),
                    change("add", "/more", "x"),
                ),
                done,
            ],
            "formats-after": [
                create(RAW),
                patch(
                    change("add", "/locations/-", _LOCATION),
                    change("replace", "/disk_format", "iso"),
                ),
                show(),
            ],
            "without-formats": [create(), add(_LOCATION), show()],
            "two": [create(RAW), replace(_LOCATION, _LOCATION), show()],
            "contradicting": [
                create(RAW),
                replace(
                    _LOCATION | {"validation_data": _GOOD}, _LOCATION | {"validation_data": _WRONG}
                ),
                show(),
            ],
        },
        **rest,
    )
    yield from each(
        "locations/full",
        {
            "add": add(_LOCATION),
            "add-wrong": add(_LOCATION | {"validation_data": _WRONG}),
            "add-file": add({"url": "file:///x", "metadata": {}}),
            "replace": replace(_LOCATION),
            "replace-two": replace(_LOCATION, _LOCATION),
            "replace-none": replace(),
            "replace-own": replace({"url": "<url>", "metadata": {}}),
            "remove": patch(change("remove", "/locations/0"), user="admin"),
            "remove-other": patch(change("remove", "/locations/x"), user="admin"),
        },
        before=[*active(), show(keep={"url": "/direct_url"})],
        after=[show()],
        **rest,
    )
    staged = Request(
        *("PUT", "/v2/images/<image>/stage", b"x", {"Content-Type": "application/octet-stream"})
    )
    yield from each(
        "locations/staged",
        {
            "add": add(_LOCATION),
            "replace": replace(_LOCATION),
            "remove": patch(change("remove", "/locations/0"), user="admin"),
            "post": post(_PATH, {"url": _WEB}),
        },
        before=[create(RAW), staged],
        **rest,
    )
    yield talk("locations/queued/remove", create(RAW), patch(change("remove", "/locations/0")))


def _as() -> Iterator[Conversation]:
    for user in ("admin", "alice", "amy", "bob", "ben", "nova", "norole", "nobody"):
        for visibility in ("private", "shared", "community"):
            yield talk(
                f"locations/as/{user}-{visibility}",
                create(RAW | {"visibility": visibility}, user="alice"),
                patch(change("add", "/locations/-", {"url": "rubbish", "metadata": {}}), user=user),
                patch(change("remove", "/locations/0"), user=user),
                post(_PATH, {"url": "http://localhost/"}, user=user),
                get(_PATH, user=user),
                delete("/v2/stores/chunks/<image>", user=user),
                world=FULL,
            )
