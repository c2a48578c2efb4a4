"""Metadata definitions, schemas and usage: a region answers as a real Glance does."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lab import Glance, Region
from tests.region.beside_glance import Answer, ask

pytestmark = pytest.mark.services

NAMESPACES = "/v2/metadefs/namespaces"
SCHEMAS = [
    *("image", "images", "member", "members", "task", "tasks"),
    *(
        f"metadefs/{name}"
        for one in ("namespace", "object", "tag", "resource_type")
        for name in (one, f"{one}s")
    ),
    *("metadefs/property", "metadefs/properties"),
]


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Give the addresses of a Glance and of a region, both with Glance's own definitions."""
    folder = tmp_path_factory.mktemp("metadefs")
    glance = Glance(folder / "glance", processes=1, definitions=True)
    with glance, Region(folder / "region") as region:
        _load(region, glance.shipped_definitions)
        yield glance.url, region.url


def _load(region: Region, definitions: Path) -> None:
    catalogue = f"sqlite:///{region.folder / 'data/catalogue.sqlite'}"
    command = ["db", "load-metadefs", str(definitions), "--database", catalogue]
    subprocess.run([sys.executable, "-m", "meltemi", *command], check=True, capture_output=True)


@pytest.fixture
def same(urls: tuple[str, str]) -> Any:
    def ask_both(*request: Any, **more: Any) -> Answer:
        """Send a request to both, and give the answer, which must be one.

        Where Glance fails, a region says what is wrong with the request.
        """
        expected, found = (ask(url, *request, **more) for url in urls)
        if expected.status == 500:
            assert 400 <= found.status < 500, request
        else:
            assert found == expected, request
        return found

    return ask_both


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas(same: Any, name: str) -> None:
    assert same("GET", f"/v2/schemas/{name}").status == 200
    assert same("POST", f"/v2/schemas/{name}").status == 405


def test_every_namespace_and_all_that_is_in_it(same: Any) -> None:
    listing = same("GET", f"{NAMESPACES}?limit=1000&sort_key=namespace").body
    names = [one["namespace"] for one in listing["namespaces"]]
    assert len(names) > 30
    for name in names:
        path = f"{NAMESPACES}/{quote(name)}"
        described = same("GET", path).body
        assert same("GET", f"{path}/tags").body == {"tags": described.get("tags", [])}
        same("GET", f"{path}/properties")
        for key in described.get("properties", {}):
            assert same("GET", f"{path}/properties/{quote(key)}").status == 200
        same("GET", f"{path}/objects")
        for one in described.get("objects", []):
            assert same("GET", f"{path}/objects/{quote(one['name'])}").status == 200
        for one in same("GET", f"{path}/resource_types").body["resource_type_associations"]:
            assert same("GET", f"{path}?resource_type={quote(one['name'])}").status == 200
            prefix = one.get("prefix", "")
            for key in described.get("properties", {}):
                query = f"?resource_type={quote(one['name'])}"
                same("GET", f"{path}/properties/{quote(prefix + key)}{query}")
    assert same("GET", "/v2/metadefs/resource_types").status == 200


@pytest.mark.parametrize(
    "query",
    [
        *("", "limit=3", "limit=0", "limit=-1", "marker=nothing", "sort_dir=up"),
        *("visibility=public", "visibility=shared", "visibility="),
        *(
            "resource_types=OS::Cinder::Volume",
            "resource_types=OS::Nova::Flavor,OS::Nova::Aggregate",
        ),
        *("resource_types=", "resource_types=nothing", "something=else", "limit=2000&a=b&a=c"),
        "resource_types=OS::Glance::Image&limit=2&sort_key=namespace",
    ],
)
def test_listings(same: Any, query: str) -> None:
    # By name, since files are loaded in no fixed order.
    order = "" if "sort" in query else "&sort_key=namespace&sort_dir=asc"
    same("GET", f"{NAMESPACES}?{query}{order}")


@pytest.mark.parametrize("key", ["namespace", "display_name", "description"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages(same: Any, key: str, direction: str) -> None:
    path = f"{NAMESPACES}?limit=7&sort_key={key}&sort_dir={direction}"
    pages = 0
    while path:
        path = same("GET", path).body.get("next")
        pages += 1
    assert pages == 5


def test_usage_without_quotas_of_projects(same: Any) -> None:
    assert same("GET", "/v2/info/usage").body == {"usage": {}}


SEA = f"{NAMESPACES}/Sea"
DEPTH = {"title": "Depth", "type": "integer", "minimum": 1, "maximum": 11000, "default": 10}
WINDS = {
    "title": "Winds",
    "type": "array",
    "description": "Where from",
    "operators": ["<in>", "<or>"],
    "items": {"type": "string", "enum": ["north", "south"]},
    "enum": ["a", "b"],
    "readonly": True,
    "pattern": "^.*$",
    "minLength": 0,
    "maxLength": 5.0,
    "minItems": 1,
    "maxItems": 2,
    "uniqueItems": True,
    "additionalItems": False,
    "minimum": 0.5,
    "default": ["north"],
}
PORT = {
    "name": "Port",
    "description": "A place",
    "required": ["depth"],
    "properties": {"depth": DEPTH},
}
FULL = {
    "namespace": "Sea",
    "display_name": "The \u1f00\u03ad\u03bd\u03b1\u03bf\u03c2 sea",
    "description": "What is known of the sea",
    "visibility": "public",
    "protected": False,
    "owner": "poseidon",
    "resource_type_associations": [
        {"name": "OS::Sea", "prefix": "sea:", "properties_target": "waves"},
        {"name": "OS::Nova::Flavor"},
    ],
    "properties": {"depth": DEPTH, "winds": WINDS},
    "objects": [PORT, {"name": "Reef"}],
    "tags": [{"name": "blue"}, {"name": "deep"}, {"name": "Blue"}],
}


@pytest.fixture
def sea(same: Any) -> Iterator[Any]:
    """Have a namespace in both, and none of its names afterwards."""
    assert same("POST", NAMESPACES, FULL).status == 201
    yield same
    for path in (SEA, f"{NAMESPACES}/Ocean"):
        if same("GET", path).status == 200:
            same("PUT", path, {"namespace": path.rpartition("/")[2], "owner": "poseidon"})
            assert same("DELETE", path).status == 204
        assert same("GET", path).status == 404


def _everything(same: Any, path: str = SEA) -> None:
    for part in ("", "/objects", "/properties", "/tags", "/resource_types"):
        same("GET", f"{path}{part}")


def test_a_new_namespace(sea: Any) -> None:
    _everything(sea)
    assert sea("POST", NAMESPACES, FULL).status == 409
    for kind in ("OS::Sea", "OS::Nova::Flavor", "OS::Land", ""):
        sea("GET", f"{SEA}?resource_type={kind}")
    for name in ("sea:depth", "depth", "sea:", "sea:nothing", "nothing"):
        for query in ("", "?resource_type=OS::Sea", "?resource_type=OS::Nova::Flavor"):
            sea("GET", f"{SEA}/properties/{name}{query}")
    assert sea("GET", f"{NAMESPACES}?resource_types=OS::Sea").body["namespaces"]


def test_a_namespace_that_changes(sea: Any) -> None:
    body = {"namespace": "Sea", "owner": "amphitrite", "protected": True}
    assert sea("PUT", SEA, body).status == 200
    _everything(sea)
    for path in (
        *("", "/objects", "/properties", "/tags"),
        *("/objects/Port", "/properties/depth", "/tags/blue", "/resource_types/OS::Sea"),
    ):
        assert sea("DELETE", f"{SEA}{path}").status == 403
    for path in ("/objects/none", "/properties/none", "/tags/none", "/resource_types/none"):
        assert sea("DELETE", f"{SEA}{path}").status == 404
    assert sea("PUT", SEA, {"namespace": "Ocean", "owner": "okeanos"}).status == 200
    _everything(sea)
    _everything(sea, f"{NAMESPACES}/Ocean")
    assert sea("POST", NAMESPACES, {"namespace": "Sea", "owner": "x"}).status == 201
    assert sea("PUT", SEA, {"namespace": "Ocean", "owner": "x"}).status == 409
    for path in ("/objects", "/properties", "/tags"):
        assert sea("DELETE", f"{NAMESPACES}/Ocean{path}").status == 204
    _everything(sea, f"{NAMESPACES}/Ocean")


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], "nonsense", None, 3, {"namespace": 3}, {"namespace": "n" * 81}),
        *({"namespace": "Ocean", key: "x"} for key in ("self", "schema", "created_at", "shape")),
        *({"namespace": "Ocean", "protected": one} for one in ("x", None, 1)),
        {"namespace": "Ocean", "visibility": "shared"},
        {"namespace": "Ocean", "description": "d" * 501},
        {"namespace": "Ocean", "properties": {"a": {"title": "A"}}},
        {"namespace": "Ocean", "properties": {"a": {"title": "A", "type": "strange"}}},
        {"namespace": "Ocean", "properties": {"a": {"title": "A", "type": None}}},
        {"namespace": "Ocean", "objects": [{"name": 3}]},
        {"namespace": "Ocean", "owner": "o", "objects": [{"name": "a"}, {"name": "a"}]},
        {"namespace": "Ocean", "owner": "o", "tags": [{"name": "a"}, {"name": "a"}]},
        {
            "namespace": "Ocean",
            "owner": "o",
            "resource_type_associations": [{"name": "OS::Sea"}, {"name": "OS::Sea"}],
        },
    ],
    ids=str,
)
def test_a_namespace_that_is_refused(sea: Any, body: Any) -> None:
    assert sea("POST", NAMESPACES, body).status >= 400
    assert sea("PUT", SEA, body).status != 500
    assert sea("PUT", f"{NAMESPACES}/nowhere", body).status >= 400


def test_objects(sea: Any) -> None:
    path = f"{SEA}/objects"
    assert sea("POST", path, {"name": "Cape", "properties": {"winds": WINDS}}).status == 201
    assert sea("POST", path, {"name": "Cape"}).status == 409
    for name in ("Cape", "Port", "nothing", "Reef"):
        sea("GET", f"{path}/{name}")
    assert sea("PUT", f"{path}/Cape", {"name": "Point", "required": ["a", "b"]}).status == 200
    assert sea("PUT", f"{path}/Point", {"name": "Port"}).status == 409
    assert sea("PUT", f"{path}/Cape", {"name": "Cape"}).status == 404
    _everything(sea)
    for query in ("limit=0", "limit=x", "limit=1", "sort_dir=x", "visibility=x", "marker=nothing"):
        sea("GET", f"{path}?{query}")
    for body in (
        *({}, [], {"name": 3}, {"name": "n" * 81}, {"name": "x", "kind": "y"}),
        *({"name": "x", key: "y"} for key in ("self", "schema", "created_at", "updated_at")),
        {"name": "x", "properties": {"y": {"title": "z"}}},
        {"name": "x", "properties": {"y": {"title": "z", "type": "string", "kind": "w"}}},
    ):
        assert sea("POST", path, body).status >= 400
    assert sea("DELETE", f"{path}/Point").status == 204
    assert sea("DELETE", f"{path}/Point").status == 404
    assert sea("DELETE", path).status == 204
    _everything(sea)
    for method in ("GET", "POST", "DELETE"):
        sea(method, f"{NAMESPACES}/nowhere/objects", PORT if method == "POST" else None)
    for method in ("GET", "PUT", "DELETE"):
        sea(method, f"{NAMESPACES}/nowhere/objects/Port", PORT if method == "PUT" else None)


def test_properties(sea: Any) -> None:
    path = f"{SEA}/properties"
    assert sea("POST", path, {"name": "salt", **DEPTH}).status == 201
    assert sea("POST", path, {"name": "salt", **WINDS}).status == 409
    for name in ("salt", "winds", "nothing"):
        sea("GET", f"{path}/{name}")
    assert sea("PUT", f"{path}/salt", {"name": "ice", **WINDS}).status == 200
    assert sea("PUT", f"{path}/ice", {"name": "winds", **WINDS}).status == 409
    assert sea("PUT", f"{path}/salt", {"name": "salt", **WINDS}).status == 404
    _everything(sea)
    bodies: tuple[Any, ...] = (
        *({}, [], DEPTH, {"name": "n" * 81, **DEPTH}, {"name": "x", "kind": "y", **DEPTH}),
        *({"name": "x", **DEPTH, key: "y"} for key in ("created_at", "updated_at", "self")),
        *({"name": "x", **DEPTH, key: "y"} for key in ("minimum", "maxLength", "readonly", "enum")),
        {"name": "x", **DEPTH, "required": []},
        {"name": "x", **DEPTH, "minLength": -1},
    )
    for body in bodies:
        assert sea("POST", path, body).status >= 400
    assert sea("DELETE", f"{path}/ice").status == 204
    assert sea("DELETE", f"{path}/ice").status == 404
    assert sea("DELETE", path).status == 204
    _everything(sea)
    salt = {"name": "salt", **DEPTH}
    for method in ("GET", "POST", "DELETE"):
        sea(method, f"{NAMESPACES}/nowhere/properties", salt if method == "POST" else None)
    for method in ("GET", "PUT", "DELETE"):
        sea(method, f"{NAMESPACES}/nowhere/properties/a", salt if method == "PUT" else None)


def test_tags(sea: Any) -> None:
    path = f"{SEA}/tags"
    assert sea("POST", f"{path}/warm").status == 201
    assert sea("POST", f"{path}/{'n' * 81}").status == 400
    for name in ("warm", "nothing"):
        sea("GET", f"{path}/{name}")
    for query in (
        *("", "limit=2", "limit=0", "limit=", "limit=x", "limit=-1", "sort_dir=x", "visibility=x"),
        *("marker=deep", "marker=nothing", "marker=", "marker=deep&sort_dir=asc&limit=1"),
        *("sort_key=name", "sort_key=name&sort_dir=asc", "sort_key=id&sort_dir=asc"),
    ):
        sea("GET", f"{path}?{query}")
    assert sea("PUT", f"{path}/warm", {"name": "cold"}).status == 200
    assert sea("PUT", f"{path}/warm", {"name": "cold"}).status == 404
    wrong: tuple[Any, ...] = ({}, [], {"name": 3}, {"name": "x", "kind": "y"})
    for body in (*wrong, {"name": "x", "created_at": "y"}):
        assert sea("PUT", f"{path}/cold", body).status >= 400
    more = {"tags": [{"name": "wet"}, {"name": "wide"}]}
    assert sea("POST", path, more, headers={"X-Openstack-Append": "True"}).status == 201
    _everything(sea)
    wrong = (3, [{}], [{"name": 3}], [{"x": "y"}])
    for body in ([], *({"tags": one} for one in wrong)):
        assert sea("POST", path, body).status >= 400
    assert sea("POST", path, {"tags": []}).status == 201
    assert sea("POST", path, more, headers={"X-Openstack-Append": "no"}).status == 201
    _everything(sea)
    assert sea("POST", path, more).status == 201
    _everything(sea)
    assert sea("DELETE", f"{path}/wet").status == 204
    assert sea("DELETE", f"{path}/wet").status == 404
    assert sea("DELETE", path).status == 204
    _everything(sea)
    for method in ("GET", "POST", "DELETE"):
        sea(method, f"{NAMESPACES}/nowhere/tags", more if method == "POST" else None)
    for method in ("GET", "POST", "PUT", "DELETE"):
        sea(method, f"{NAMESPACES}/nowhere/tags/a", {"name": "a"} if method == "PUT" else None)


def test_resource_types(sea: Any) -> None:
    path = f"{SEA}/resource_types"
    assert sea("POST", path, {"name": "OS::Island", "prefix": "isle_"}).status == 201
    assert sea("POST", path, {"name": "OS::Island"}).status == 409
    _everything(sea)
    wrong: tuple[Any, ...] = ({}, [], {"name": 3}, {"name": "n" * 81})
    for body in (*wrong, {"name": "x", "created_at": "y"}):
        assert sea("POST", path, body).status >= 400
    assert sea("DELETE", f"{path}/OS::Island").status == 204
    assert sea("DELETE", f"{path}/OS::Island").status == 404
    _everything(sea)
    assert sea("GET", "/v2/metadefs/resource_types").status == 200
    for method in ("GET", "POST"):
        sea(
            method,
            f"{NAMESPACES}/nowhere/resource_types",
            {"name": "a"} if method == "POST" else None,
        )
    sea("DELETE", f"{NAMESPACES}/nowhere/resource_types/a")


def test_methods_and_bodies_that_are_not_expected(sea: Any) -> None:
    for method, path in (
        *(("PATCH", NAMESPACES), ("POST", SEA), ("PUT", f"{SEA}/objects"), ("PUT", f"{SEA}/tags")),
        *(("POST", f"{SEA}/objects/Port"), ("POST", f"{SEA}/properties/depth")),
        *(("GET", f"{SEA}/resource_types/OS::Sea"), ("DELETE", "/v2/metadefs/resource_types")),
    ):
        assert sea(method, path).status == 405
    for method, path in (
        *(("GET", SEA), ("DELETE", SEA), ("GET", f"{SEA}/objects/Port"), ("POST", f"{SEA}/tags/a")),
        *(("GET", "/v2/metadefs/resource_types"), ("DELETE", f"{SEA}/tags/blue")),
    ):
        assert sea(method, path, {"a": "b"}).status == 400
    assert sea("GET", NAMESPACES + "?sort_key=namespace", {"a": "b"}).status == 200
    for path in ("/v2/metadefs", "/v2/metadefs/", f"{SEA}/", f"{SEA}/nothing", f"{NAMESPACES}/"):
        assert sea("GET", path).status == 404
