"""Metadata definitions."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.parity.asking import (
    KEYSTONE,
    Conversation,
    Request,
    ask,
    delete,
    each,
    get,
    head,
    post,
    put,
    talk,
)

_ALL = "/v2/metadefs/namespaces"
_NS = f"{_ALL}/<id.namespace>"
_BLANK = {"namespace": "<id.namespace>"}
_PROPERTY = {"name": "size", "title": "Size", "type": "integer"}
_OBJECT = {"name": "disk", "description": "a disk", "properties": {"size": _PROPERTY}}
_VALUES: dict[str, tuple[Any, ...]] = {
    "namespace": ("", 5, None, "x" * 80, "x" * 81, "a b", "a/b", "é", "<b>", "a%b", "OS::X"),
    "display_name": ("", 5, None, "x" * 80, "x" * 81, "é"),
    "description": ("", 5, None, "x" * 500, "x" * 501, "a\nb"),
    "visibility": ("public", "private", "shared", "", None, 5),
    "protected": (True, False, "true", None, 1),
    "owner": ("somebody", "", None, 5, "x" * 255, "x" * 256),
    "created_at": ("2020-01-01T00:00:00Z", 5),
    "updated_at": ("2020-01-01T00:00:00Z",),
    "self": ("/x",),
    "schema": ("/x",),
    "resource_type_associations": (
        *([], [{"name": "OS::Glance::Image"}], [{"name": "parity::type", "prefix": "p_"}]),
        *([{}], [5], "x", [{"name": "OS::Glance::Image"}] * 2, [{"name": "x" * 81}]),
    ),
    "properties": (
        *(
            {},
            {"size": {"title": "Size", "type": "integer"}},
            {"size": {}},
            {"size": {"type": "x"}},
        ),
        *({"size": {"title": "Size", "type": "integer", "minimum": "x"}}, [], "x"),
        {"size": {"title": "S", "type": "string", "enum": ["a"], "default": "a", "readonly": True}},
        {"size": {"title": "S", "type": "array", "items": {"type": "string"}, "minItems": 1}},
        {"size": {"title": "S", "type": "string", "maxLength": -1}},
        {"size": {"title": "S", "type": "string", "unknown": 5}},
    ),
    "objects": (
        *([], [_OBJECT], [{}], [{"name": "a"}], [{"name": "a"}, {"name": "a"}], [5], "x"),
        [{"name": "x" * 81}],
    ),
    "tags": (
        *([], [{"name": "t"}], [{"name": "t"}, {"name": "t"}], [{}], ["t"], [{"name": 5}]),
        [{"name": "x" * 81}],
    ),
    "unknown": ("x",),
}


def conversations() -> Iterator[Conversation]:
    """Give them."""
    # Not in the open world: there Glance has no project that could own a namespace.
    for one in _definitions():
        yield replace(one, world=KEYSTONE)
    yield talk("metadefs/open", post(_ALL, _BLANK), post(_ALL, _BLANK | {"owner": "o"}), get(_NS))


def _definitions() -> Iterator[Conversation]:
    yield from _defaults()
    for name, values in _VALUES.items():
        for number, value in enumerate(values):
            made = _BLANK | {name: value}
            made_then = [post(_ALL, made), get(_NS), put(_NS, made)]
            yield talk(f"metadefs/namespace/{name}-{number}", made_then)
    yield talk("metadefs/twice", post(_ALL, _BLANK), post(_ALL, _BLANK), get(_NS), head(_NS))
    too_long = _BLANK | {"properties": {"x" * 81: {"title": "X", "type": "string"}}}
    yield talk("metadefs/too-long", post(_ALL, too_long))  # Glance fails, and keeps the rest
    yield talk("metadefs/body", post(_ALL, []), post(_ALL, {}), post(_ALL), put(_NS, _BLANK))
    yield talk(
        "metadefs/rename",
        post(_ALL, _BLANK),
        put(_NS, {"namespace": "parity2"}),
        get(_NS),
        put(f"{_ALL}/parity2", {"namespace": "OS::Compute::Hypervisor"}),
        put(f"{_ALL}/parity2", {}),
        delete(f"{_ALL}/parity2"),
    )
    protected = _BLANK | {"protected": True}
    free = put(_NS, _BLANK | {"protected": False})
    yield talk("metadefs/protected", post(_ALL, protected), delete(_NS), free, delete(_NS))
    yield talk("metadefs/delete", post(_ALL, _BLANK), delete(_NS), delete(_NS), get(_NS))
    yield from _parts()
    yield from _associations()
    yield from _people()


def _defaults() -> Iterator[Conversation]:
    """Ask for the set that comes with Glance."""
    names = (
        *("OS::Compute::Hypervisor", "OS::Compute::Libvirt", "OS::Compute::VirtCPUTopology"),
        *(
            "OS::Glance::CommonImageProperties",
            "OS::Software::WebServers",
            "OS::Cinder::Volumetype",
        ),
        *("OS::OperatingSystem", "OS::Compute::Trust", "OS::Compute::GuestMemoryBacking"),
        *(
            "OS::Software::Databases",
            "OS::Compute::Watchdog",
            "CIM::ProcessorAllocationSettingData",
        ),
    )
    for name in names:
        parts = ("", "/properties", "/objects", "/tags", "/resource_types")
        yield talk(f"metadefs/default/{name}", [get(f"{_ALL}/{name}{part}") for part in parts])
    queries = (
        *(
            "?sort_key=namespace",
            "?limit=3&sort_key=namespace&sort_dir=asc",
            "?limit=0",
            "?limit=x",
            "?limit=-1",
        ),
        *("?sort_key=namespace&sort_dir=asc&limit=100", "?sort_dir=x", "?sort_key=rubbish"),
        *("?visibility=public&limit=2&sort_key=namespace", "?visibility=private", "?visibility=x"),
        *("?resource_types=OS::Nova::Flavor&sort_key=namespace", "?resource_types=x"),
        *("?resource_types=OS::Glance::Image,OS::Nova::Flavor&sort_key=namespace&sort_dir=asc",),
        *("?marker=OS::Compute::Hypervisor&sort_key=namespace&sort_dir=asc&limit=2", "?marker=x"),
        *(
            "?namespace=OS::Compute::Hypervisor&sort_key=namespace",
            "?owner=admin&limit=2&sort_key=namespace",
            "?rubbish=x&limit=1&sort_key=namespace",
        ),
        *(
            "?display_name=x&sort_key=namespace",
            "?protected=true&limit=1&sort_key=namespace",
            "?limit=&sort_key=namespace",
        ),
    )
    yield from each("metadefs/list", {f"{n}": get(f"{_ALL}{q}") for n, q in enumerate(queries)})
    first = f"{_ALL}?limit=9&sort_key=namespace&sort_dir=asc"
    pages = [get(first, keep={"next": "/next"})]
    yield talk("metadefs/pages", pages, [get("<next>", keep={"next": "/next"}) for _ in range(5)])
    yield talk("metadefs/resource-types", get("/v2/metadefs/resource_types"))
    mapped = "/v2/metadefs/namespaces/OS::Compute::Hypervisor"
    types = ("OS::Nova::Flavor", "OS::Glance::Image", "rubbish", "")
    asked = [get(f"{mapped}?resource_type={one}") for one in types]
    more = [get(f"{mapped}/properties/hypervisor_type?resource_type={one}") for one in types]
    yield talk("metadefs/mapped", asked, more)


def _parts() -> Iterator[Conversation]:
    """Objects, properties and tags in a namespace."""
    made: dict[str, dict[str, Any]] = {
        "objects": _OBJECT,
        "properties": _PROPERTY,
    }
    for kind, one in made.items():
        path = f"{_NS}/{kind}"
        name = one["name"]
        changes: tuple[Any, ...] = (
            *({}, [], {"name": name}, one | {"name": "other"}, one | {"description": "new"}),
            *(one | {"unknown": 1}, one | {"name": 5}, one | {"name": "x" * 80}),
            *(one | {"name": "x" * 81}, one | {"name": ""}, one | {"self": "x"}),
            *(one | {"description": 5}, one | {"required": ["a"]}, one | {"properties": {"a": 5}}),
            *(
                one | {"title": 5},
                one | {"type": "x"},
                one | {"name": None},
                one | {"created_at": "x"},
            ),
        )
        for number, body in enumerate(changes):
            first = [post(path, body), get(path), delete(path)]
            then = [post(path, one), put(f"{path}/{name}", body), get(path)]
            yield talk(f"metadefs/{kind}/value-{number}", post(_ALL, _BLANK), first, then)
        yield talk(
            f"metadefs/{kind}/life",
            post(_ALL, _BLANK),
            get(path),
            post(path, one),
            post(path, one),
            get(f"{path}/{name}"),
            get(f"{path}/none"),
            delete(f"{path}/none"),
            delete(f"{path}/{name}"),
            get(path),
            post(path, one),
            delete(path),
            get(path),
            delete(path),
        )
        yield talk(
            f"metadefs/{kind}/nowhere",
            [ask(method, path, one) for method in ("GET", "POST", "DELETE")],
            [ask(method, f"{path}/x", one) for method in ("GET", "PUT", "DELETE")],
        )
    yield talk(
        "metadefs/objects/pages",
        post(_ALL, _BLANK),
        [post(f"{_NS}/objects", {"name": f"o{n}"}) for n in range(4)],
        [
            get(f"{_NS}/objects?{query}")
            for query in (
                "limit=2",
                "marker=o1",
                "limit=x",
                "sort_key=name&sort_dir=asc",
                "marker=no",
            )
        ],
    )
    yield from _tags()


def _tags() -> Iterator[Conversation]:
    path = f"{_NS}/tags"
    names = ("t", "a%20b", "%C3%A9", "x" * 80, "x" * 81, "a%2Fb", "%FF")
    cases = {
        f"{n}": [post(_ALL, _BLANK), post(f"{path}/{tag}"), get(f"{path}/{tag}"), get(path)]
        for n, tag in enumerate(names)
    }
    yield from each("metadefs/tags/name", cases)
    bodies: tuple[Any, ...] = (
        *({"tags": [{"name": "a"}, {"name": "b"}]}, {"tags": []}, {}, {"tags": ["a"]}, []),
        *({"tags": [{"name": "a"}, {"name": "a"}]}, {"tags": [{"name": ""}]}, {"tags": [{}]}),
        *({"tags": [{"name": "x" * 81}]}, {"tags": 5}, {"other": 1}),
    )
    for number, body in enumerate(bodies):
        before = [post(_ALL, _BLANK), post(f"{path}/old")]
        yield talk(f"metadefs/tags/set-{number}", before, post(path, body), get(path))
        added = post(path, body, headers={"X-Openstack-Append": "True"})
        yield talk(f"metadefs/tags/append-{number}", before, added, get(path))
    renames: tuple[Any, ...] = (
        {"name": "new"},
        {"name": "other"},
        {},
        {"name": 5},
        {"name": "t"},
        [],
    )
    for number, body in enumerate(renames):
        before = [post(_ALL, _BLANK), post(f"{path}/t"), post(f"{path}/other")]
        yield talk(f"metadefs/tags/rename-{number}", before, put(f"{path}/t", body), get(path))
    yield talk(
        "metadefs/tags/life",
        post(_ALL, _BLANK),
        post(f"{path}/t"),
        post(f"{path}/t"),
        post(f"{path}/u", {"a": 1}),
        get(f"{path}?limit=1"),
        get(f"{path}?marker=t"),
        get(f"{path}?sort_key=name&sort_dir=asc"),
        get(f"{path}?sort_dir=x"),
        delete(f"{path}/t"),
        delete(f"{path}/t"),
        put(f"{path}/t", {"name": "z"}),
        delete(path),
        get(path),
    )


def _associations() -> Iterator[Conversation]:
    path = f"{_NS}/resource_types"
    bodies: tuple[Any, ...] = (
        *(
            {"name": "OS::Glance::Image"},
            {"name": "parity::New"},
            {},
            [],
            {"name": 5},
            {"name": ""},
        ),
        {"name": "OS::Glance::Image", "prefix": "p_", "properties_target": "image"},
        *({"name": "x" * 81}, {"name": "a", "prefix": "x" * 81}, {"name": "a", "prefix": 5}),
        *({"name": "a", "unknown": 1}, {"name": "a", "created_at": "x"}, {"prefix": "p"}),
    )
    for number, body in enumerate(bodies):
        yield talk(
            f"metadefs/associations/{number}",
            post(_ALL, _BLANK),
            post(path, body),
            post(path, body),
            get(path),
            get(_NS),
            delete(f"{path}/OS::Glance::Image"),
            delete(f"{path}/none"),
            get(path),
        )
    yield talk("metadefs/associations/nowhere", get(path), post(path, {"name": "a"}))


def _everything() -> list[Request]:
    part = f"{_NS}/objects"
    return [
        get(_NS),
        get(f"{_ALL}?sort_key=namespace&sort_dir=asc&limit=3&marker=OS::Compute::Hypervisor"),
        put(_NS, _BLANK | {"description": "x"}),
        post(part, _OBJECT),
        get(part),
        post(f"{_NS}/properties", _PROPERTY),
        get(f"{_NS}/properties"),
        post(f"{_NS}/tags/t"),
        post(f"{_NS}/resource_types", {"name": "OS::Glance::Image"}),
        delete(f"{part}/disk"),
        delete(part),
        delete(_NS),
    ]


def _people() -> Iterator[Conversation]:
    for user in ("admin", "alice", "amy", "norole", "nobody"):
        for visibility in ("public", "private"):
            made = post(_ALL, _BLANK | {"visibility": visibility}, user="admin")
            name = f"metadefs/as/{user}-{visibility}"
            yield talk(name, made, _everything(), world="keystone", user=user)
        owned = _BLANK | {"owner": "<project.red>"}
        name = f"metadefs/as/{user}-red"
        yield talk(
            name, post(_ALL, owned, user="admin"), _everything(), world="keystone", user=user
        )
