"""Changing images with JSON patches of both kinds."""

from collections.abc import Iterator
from typing import Any

from tests.parity.asking import (
    JSON,
    OLD_PATCH,
    PATCH,
    Conversation,
    active,
    ask,
    change,
    create,
    each,
    everywhere,
    identifier,
    patch,
    show,
    talk,
)
from tests.parity.conversations.creating import WRONG

_PATHS = (
    *(
        "",
        "name",
        "/",
        "//",
        "/name/",
        "/name/x",
        "/ name",
        "/name ",
        "//name",
        "/a//b",
        "/~",
        "/~2",
    ),
    *("/a~", "/a~1b", "/a~0b", "/a~01b", "/a/b", "/tags", "/tags/-", "/tags/0", "/locations"),
    *(
        "/locations/-",
        "/locations/0",
        "/locations/x",
        "/locations/1/2",
        "/é",
        "/\n",
        "/ /",
        "/x" * 9,
    ),
    *("/os_glance_x", "/self", "/file", "/schema", "/stores", "/direct_url", "/id", "/deleted"),
    *("/location", "/deleted_at", "/extra_properties", "/image_id", "/" + "x" * 256, "/None"),
)
_OF_PROJECTS = {"owner", "visibility", "protected", "os_hidden", "tags", "custom", "locations"}
"""What may be answered otherwise to a member of a project."""
_DOCUMENTS: dict[str, Any] = {
    "object": {"op": "add", "path": "/a", "value": "b"},
    "empty": [],
    "string": ["x"],
    "list": [[]],
    "null": [None],
    "empty-object": [{}],
    "no-op": [{"path": "/a", "value": "b"}],
    "no-path": [{"op": "add", "value": "b"}],
    "no-value": [{"op": "add", "path": "/a"}],
    "no-value-replace": [{"op": "replace", "path": "/name"}],
    "remove-with-value": [{"op": "remove", "path": "/name", "value": 1}],
    "test": [{"op": "test", "path": "/name", "value": "before"}],
    "move": [{"op": "move", "from": "/a", "path": "/b"}],
    "copy": [{"op": "copy", "from": "/a", "path": "/b"}],
    "op-number": [{"op": 5, "path": "/a", "value": "b"}],
    "op-case": [{"op": "Add", "path": "/a", "value": "b"}],
    "path-number": [{"op": "add", "path": 5, "value": "b"}],
    "path-null": [{"op": "add", "path": None, "value": "b"}],
    "extra": [{"op": "add", "path": "/a", "value": "b", "more": 1}],
    "old": [{"add": "/a", "value": "b"}],
    "old-replace": [{"replace": "/name", "value": "b"}],
    "old-remove": [{"remove": "/prop"}],
    "old-two": [{"add": "/a", "replace": "/b", "value": "c"}],
    "old-no-value": [{"add": "/a"}],
    "old-number": [{"add": 5, "value": "c"}],
    "second-wrong": [{"op": "replace", "path": "/name", "value": "n"}, {"op": "replace"}],
    "second-missing": [
        {"op": "replace", "path": "/name", "value": "n"},
        {"op": "remove", "path": "/missing"},
    ],
    "twice": [
        {"op": "add", "path": "/a", "value": "1"},
        {"op": "replace", "path": "/a", "value": "2"},
        {"op": "remove", "path": "/a"},
    ],
    "many": [{"op": "add", "path": f"/p{n}", "value": "v"} for n in range(128)],
    "too-many": [{"op": "add", "path": f"/p{n}", "value": "v"} for n in range(129)],
}
_IMAGE = {"name": "before", "prop": "old", "a/b": "slash", "tags": ["t"]}


def conversations() -> Iterator[Conversation]:
    """Give them."""
    for one in _values():
        twice = one.name.rpartition("/")[2] in _OF_PROJECTS
        yield from everywhere([one], "alice") if twice else [one]
    yield from _operations()
    yield from _kinds()
    yield from _status()


def _values() -> Iterator[Conversation]:
    for name, values in WRONG.items():
        label = name if len(name) < 20 else f"x{len(name)}"
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        asked = []
        for value in values:
            asked += [
                patch(change("replace", pointer, value)),
                patch(change("add", pointer, value)),
            ]
        asked += [patch(change("remove", pointer)), show(), patch(change("remove", pointer))]
        yield talk(f"patch/value/{label}", create(_IMAGE), asked)


def _operations() -> Iterator[Conversation]:
    for number, path in enumerate(_PATHS):
        yield talk(
            f"patch/path/{number}",
            create(_IMAGE),
            [patch(change("add", path, "v"))],
            [patch(change("replace", path, "w"))],
            [patch({"add": path, "value": "x"}, kind=OLD_PATCH)],
            [patch(change("replace", path, [])), patch(change("remove", path)), show()],
        )
    yield from each(
        "patch/document",
        {
            f"{label}-{kind[-14:-11]}": [
                create(_IMAGE),
                ask("PATCH", "/v2/images/<image>", document, kind=kind),
                show(),
            ]
            for label, document in _DOCUMENTS.items()
            for kind in (PATCH, OLD_PATCH)
        },
    )
    missing = f"/v2/images/{identifier('missing')}"
    yield talk(
        "patch/missing",
        ask("PATCH", missing, [change("add", "/a", "b")], kind=PATCH),
        ask("PATCH", missing, [change("add", "/self", "b")], kind=PATCH),
        ask("PATCH", missing, [], kind=PATCH),
        ask("PATCH", missing, [], kind=JSON),
    )


def _kinds() -> Iterator[Conversation]:
    changes = [change("replace", "/name", "after")]
    kinds = (
        *(JSON, "application/json-patch+json", "text/plain", "", "application/octet-stream"),
        *(
            "application/openstack-images-v2.2-json-patch",
            "application/openstack-images-json-patch",
        ),
        *(
            PATCH.upper(),
            f"{PATCH}; charset=utf-8",
            f" {PATCH} ",
            "rubbish",
            f"{PATCH},{OLD_PATCH}",
        ),
    )
    yield from each(
        "patch/kind",
        {
            f"{number}": [
                create(_IMAGE),
                ask("PATCH", "/v2/images/<image>", changes, kind=kind),
                ask("PATCH", "/v2/images/<image>", body=None, headers={"Content-Type": kind}),
            ]
            for number, kind in enumerate(kinds)
        },
    )
    yield talk(
        "patch/kind/none",
        create(_IMAGE),
        ask("PATCH", "/v2/images/<image>", body=b"[]"),
        ask("PATCH", "/v2/images/<image>"),
    )


def _status() -> Iterator[Conversation]:
    for name, value in (("disk_format", "qcow2"), ("container_format", "ovf"), ("min_disk", 9)):
        for op in ("replace", "add"):
            yield talk(
                f"patch/active/{name}-{op}",
                active(),
                patch(change(op, f"/{name}", value)),
                patch(change("remove", f"/{name}")),
                show(),
            )
    yield talk(
        "patch/quota-of-tags",
        create(),
        patch(change("add", "/tags", [f"t{n}" for n in range(129)])),
        patch(change("add", "/tags", ["a", "a", "b"])),
        patch(change("replace", "/tags", [])),
    )
    for user in ("admin", "amy", "bob", "ben", "nova", "norole", "nobody", "forged"):
        asked = [
            patch(change("replace", "/name", "x"), user=user),
            patch(change("replace", "/owner", "<project.blue>"), user=user),
            patch(change("replace", "/visibility", "public"), user=user),
            patch(change("replace", "/protected", True), user=user),
            patch(change("add", "/p", "q"), user=user),
            patch(change("remove", "/missing"), user=user),
            patch(change("add", "/self", "q"), user=user),
            show(user="alice"),
        ]
        for visibility in ("private", "shared", "community"):
            before = create({"visibility": visibility, "name": "n"}, user="alice")
            label = f"patch/as/{user}-{visibility}"
            yield talk(label, before, asked, world="keystone")
        public = create({"visibility": "public", "name": "n"}, user="admin")
        yield talk(f"patch/as/{user}-public", public, asked, world="keystone")
    yield from each(
        "patch/visibility",
        {
            f"{user}-{one}-{other}": [
                create({"visibility": one}, user="admin" if one == "public" else user),
                patch(change("replace", "/visibility", other), user=user),
                show(user=user),
            ]
            for user in ("alice", "admin")
            for one in ("public", "private", "community", "shared")
            for other in ("public", "private", "community", "shared")
        },
        world="keystone",
    )
