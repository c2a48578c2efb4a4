"""Versions, schemas, information, and what is asked in the wrong way."""

from collections.abc import Iterator

from tests.parity.asking import DATA, Conversation, ask, create, each, get, post, put, talk

_VND = "application/vnd.openstack.images-"
_NOBODY = "00000000-0000-4000-8000-000000000000"

SCHEMAS = (
    *("image", "images", "member", "members", "task", "tasks"),
    *("metadefs/namespace", "metadefs/namespaces"),
    *("metadefs/resource_type", "metadefs/resource_types"),
    *("metadefs/property", "metadefs/properties"),
    *("metadefs/object", "metadefs/objects", "metadefs/tag", "metadefs/tags"),
)
_ONE = f"/v2/images/{_NOBODY}"
_NAMESPACE = "/v2/metadefs/namespaces"
PATHS = (
    *("/v2/images", _ONE, f"{_ONE}/file", f"{_ONE}/stage", f"{_ONE}/import", f"{_ONE}/tasks"),
    *(f"{_ONE}/actions/deactivate", f"{_ONE}/actions/reactivate", f"{_ONE}/locations"),
    *(f"{_ONE}/tags/a", f"{_ONE}/members", f"{_ONE}/members/a"),
    *("/v2/tasks", f"/v2/tasks/{_NOBODY}", "/v2/schemas/image", f"/v2/stores/chunks/{_NOBODY}"),
    *("/v2/info/import", "/v2/info/stores", "/v2/info/stores/detail", "/v2/info/usage"),
    *("/v2/cache", f"/v2/cache/{_NOBODY}", f"/v2/cache/nodes/{_NOBODY}"),
    *("/v2/cache/clean", "/v2/cache/prune"),
    *("/v2/metadefs/resource_types", _NAMESPACE, f"{_NAMESPACE}/no"),
    *(f"{_NAMESPACE}/no/{kind}" for kind in ("resource_types", "properties", "objects", "tags")),
    *(f"{_NAMESPACE}/no/{kind}/a" for kind in ("resource_types", "properties", "objects", "tags")),
)
"""Every path of the API, of things that are not there."""


def conversations() -> Iterator[Conversation]:
    """Give them."""
    yield from _versions()
    yield from each("schemas", {one: get(f"/v2/schemas/{one}") for one in SCHEMAS})
    yield from _methods()
    yield from _paths()
    yield from _bodies()
    information = {one: get(f"/v2/info/{one}") for one in ("import", "stores", "stores/detail")}
    yield from each("info", information)
    yield talk("health", get("/healthcheck"), ask("HEAD", "/healthcheck"))


def _versions() -> Iterator[Conversation]:
    paths = (
        *("/", "", "/versions", "/versions/", "/versions/more", "/v2", "/v2/", "/v1", "/v1/images"),
        *("/v3", "/v3/images", "/v2.18/images", "/v2.17/images", "/v2.15/images", "/v2.0/images"),
        *("/v2.9/images", "/v2.8/images", "/v2.14/images", "/v2.16/images", "/v2.99/images"),
        *("/v02/images", "/2/images", "/V2/images", "//v2/images", "/images", "/favicon.ico"),
    )
    yield from each("versions", {path.replace("/", ".") or "empty": get(path) for path in paths})
    methods = ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    yield from each(
        "versions/method",
        {f"{method}{path}": ask(method, f"/{path}") for method in methods for path in ("", "v1/x")},
    )
    yield from each(
        "versions/accept",
        {
            version: get("/images", headers={"Accept": _VND + version})
            for version in ("v2", "v2.17", "v1", "v3", "v2.18")
        },
    )


def _methods() -> Iterator[Conversation]:
    for path in PATHS:
        label = path.replace("/", ".").replace(_NOBODY, "x")
        methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        yield talk(f"methods/{label}", [ask(method, path) for method in methods])
    odd = ("TRACE", "PROPFIND", "COPY", "get", "FOO")
    yield from each("methods/odd", {one: ask(one, "/v2/images") for one in odd})
    yield from each("methods/odd-nowhere", {one: ask(one, "/v2/nowhere") for one in odd})


def _paths() -> Iterator[Conversation]:
    for path in PATHS:
        label = path.replace("/", ".").replace(_NOBODY, "x")
        yield talk(f"paths/slash/{label}", get(f"{path}/"), get(f"/{path}"), get(f"{path}/more/x"))
    odd = (
        *("/v2/image", "/v2/Images", "/v2/images//", "/v2/images/%20", "/v2/images/%00"),
        *("/v2/images/%C3%A9", "/v2/images/%FF", "/v2/images/a%2Fb", "/v2/images/."),
        *("/v2/images/..", "/v2/./images", "/v2/nowhere/..", "/v2/%69mages", "/v2/images;x=1"),
        *("/v2/images/x?y=z", "/v2/schemas", "/v2/schemas/", "/v2/schemas/nothing", "/v2/info"),
        *(
            "/v2/metadefs",
            "/v2/stores",
            "/v2/stores/chunks",
            "/v2/images/x/y",
            "/v2/images/x/file/y",
        ),
        *("/v2/images/detail", "/v2/images/x/actions", "/v2/images/x/actions/other"),
    )
    yield from each("paths/odd", {path[4:].replace("/", "."): get(path) for path in odd})


def _bodies() -> Iterator[Conversation]:
    bodies = {
        "none": None,
        "empty": b"",
        "space": b" ",
        "cut": b'{"name": ',
        "trailing": b'{"name": "a"} x',
        "twice": b'{"name": "a", "name": "b"}',
        "string": b'"text"',
        "number": b"5",
        "null": b"null",
        "true": b"true",
        "list": b"[]",
        "list-of-objects": b'[{"name": "a"}]',
        "nan": b'{"min_disk": NaN}',
        "infinity": b'{"min_disk": Infinity}',
        "single-quotes": b"{'name': 'a'}",
        "latin-1": '{"name": "é"}'.encode("latin-1"),
        "utf-8": '{"name": "é\N{GRINNING FACE}"}'.encode(),
        "utf-16": '{"name": "a"}'.encode("utf-16"),
        "bom": b"\xef\xbb\xbf" + b'{"name": "a"}',
        "escaped-surrogate": b'{"name": "\\ud800"}',
        "escaped-zero": b'{"name": "a\\u0000b"}',
        "deep": b'{"a": ' + b"[" * 50 + b"]" * 50 + b"}",
        "very-deep": b"[" * 20000 + b"]" * 20000,
        "big-number": b'{"min_disk": 1e400}',
    }
    for label, body in bodies.items():
        yield talk(
            f"bodies/{label}",
            ask("POST", "/v2/images", body=body, kind="application/json", keep={"image": "/id"}),
            ask("POST", "/v2/metadefs/namespaces", body=body, kind="application/json"),
            ask("POST", "/v2/tasks", body=body, kind="application/json"),
        )
        yield talk(
            f"bodies/image/{label}",
            create(),
            ask(
                "PATCH",
                "/v2/images/<image>",
                body=body,
                kind="application/openstack-images-v2.1-json-patch",
            ),
            ask("POST", "/v2/images/<image>/members", body=body, kind="application/json"),
            ask("POST", "/v2/images/<image>/import", body=body, kind="application/json"),
            ask("POST", "/v2/images/<image>/locations", body=body, kind="application/json"),
        )
    kinds = ("application/json", "text/plain", DATA, "application/xml", "", "application/json; x=y")
    sent = b'{"name": "a"}'
    yield from each(
        "bodies/kind",
        {
            kind.replace("/", ".") or "empty": ask(
                "POST", "/v2/images", body=sent, headers={"Content-Type": kind}
            )
            for kind in kinds
        },
    )
    yield talk("bodies/no-kind", ask("POST", "/v2/images", body=sent))
    yield talk("bodies/chunked", post("/v2/images", {"name": "chunked"}, chunked=True))
    yield from _unexpected()
    accepts = ("*/*", "text/html", "application/xml", "application/json;q=0.1", "rubbish", "")
    yield from each(
        "accept",
        {
            accept.replace("/", ".") or "empty": [
                get("/v2/images", headers={"Accept": accept}),
                get("/v2/images/x", headers={"Accept": accept}),
                put("/v2/images", headers={"Accept": accept}),
                get("/v1/", headers={"Accept": accept}),
            ]
            for accept in accepts
        },
    )
    yield from each(
        "language",
        {
            one: get("/v2/images/x", headers={"Accept-Language": one})
            for one in ("de", "en", "fr;q=0.5", "*", "??")
        },
    )
    yield talk(
        "request-id",
        get("/v2/images", headers={"X-Openstack-Request-Id": "req-of-mine"}),
        get("/v2/images", headers={"X-Openstack-Request-Id": "r" * 65}),
        get("/v2/images", headers={"X-Openstack-Request-Id": "<b>"}),
    )


def _unexpected() -> Iterator[Conversation]:
    """Bodies where none is expected."""
    for method in ("GET", "DELETE", "POST", "PUT"):
        for path in PATHS:
            label = path.replace("/", ".").replace(_NOBODY, "x")
            sent = ask(method, path, {"a": 1})
            if method in {"GET", "DELETE"}:
                yield talk(f"bodies/unexpected/{method}{label}", sent)
