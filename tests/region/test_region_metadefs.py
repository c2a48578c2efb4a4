"""Metadata definitions: who may do what, and where a region knows better than Glance."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from meltemi.region.app import application
from meltemi.region.context import Context
from meltemi.region.inflight import InFlight
from meltemi.region.policy import Policy
from meltemi.region.settings import Settings
from meltemi.region.wiring import close_service, open_service, prepare

NAMESPACES = "/v2/metadefs/namespaces"
ADMIN, READER, OTHER, NOBODY = "admin", "reader", "other", "nobody"
PEOPLE = {
    ADMIN: Context(project="head", roles=frozenset({"admin"}), is_admin=True),
    READER: Context(project="owner", roles=frozenset({"member", "reader"})),
    OTHER: Context(project="other", roles=frozenset({"member", "reader"})),
    NOBODY: Context(project="owner", roles=frozenset({"none"})),
}


class Named:
    """Takes the word of a header for who asks."""

    async def authenticate(self, headers: Mapping[str, str]) -> Context:
        return PEOPLE[headers["X-Who"]]

    async def endpoint(
        self, context: Context, service: str, region: str, interface: str
    ) -> str | None:
        del context, service, region, interface
        return None

    async def check(self) -> None:
        """Ask nothing."""

    async def close(self) -> None:
        """Hold nothing."""


class Api:
    """A region, asked by different people."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self._client = client

    async def ask(self, who: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request; give the status, and the body or what is wrong."""
        headers = {"X-Who": who, "Accept": "application/json"}
        async with self._client.request(method, path, json=body, headers=headers) as answer:
            found: Any = await answer.json() if await answer.read() else None
        if answer.status < 400:
            return answer.status, found
        return answer.status, found["message"].replace("<br />", "").strip()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    settings = Settings(data=tmp_path)
    prepare(settings)
    service = await open_service(settings)
    judging = replace(service, identity=Named(), policy=Policy())
    async with TestClient(TestServer(application(judging, InFlight()))) as client:
        yield Api(client)
    await close_service(service)


def sea(visibility: str) -> dict[str, Any]:
    """Describe a namespace of `owner`'s."""
    return {
        "namespace": visibility,
        "owner": "owner",
        "visibility": visibility,
        "objects": [{"name": "o"}],
        "properties": {"p": {"title": "P", "type": "string"}},
        "tags": [{"name": "t"}],
        "resource_type_associations": [{"name": "r"}],
    }


INSIDE = ("", "/objects", "/objects/o", "/properties", "/properties/p", "/tags", "/tags/t")
NEW = {"/objects": {"name": "n"}, "/properties": {"name": "n", "title": "N", "type": "string"}}


@pytest.fixture
async def filled(api: Api) -> Api:
    for visibility in ("public", "private"):
        assert (await api.ask(ADMIN, "POST", NAMESPACES, sea(visibility)))[0] == 201
    return api


async def test_who_sees_what(filled: Api) -> None:
    seen = {ADMIN: {"public", "private"}, READER: {"public", "private"}, OTHER: {"public"}}
    for who, names in seen.items():
        status, body = await filled.ask(who, "GET", NAMESPACES)
        assert status == 200
        assert {one["namespace"] for one in body["namespaces"]} == names
        for name in ("public", "private"):
            for part in (*INSIDE, "/resource_types"):
                status, _ = await filled.ask(who, "GET", f"{NAMESPACES}/{name}{part}")
                assert status == (200 if name in names else 404), (who, name, part)
    for path in (NAMESPACES, f"{NAMESPACES}/public", "/v2/metadefs/resource_types"):
        assert (await filled.ask(NOBODY, "GET", path))[0] == 404


async def test_what_may_not_be_seen_is_not_there(filled: Api) -> None:
    for part in (*INSIDE, "/resource_types"):
        answers = [
            await filled.ask(OTHER, "GET", f"{NAMESPACES}/{name}{part}")
            for name in ("private", "missing")
        ]
        assert answers[0][1].replace("private", "missing") == answers[1][1]


@pytest.mark.parametrize(
    ("who", "name", "status"), [(READER, "private", 403), (OTHER, "public", 403)]
)
async def test_only_administrators_define(filled: Api, who: str, name: str, status: int) -> None:
    space = f"{NAMESPACES}/{name}"
    property_ = {"name": "n", "title": "N", "type": "string"}
    requests: list[tuple[str, str, Any]] = [
        ("POST", NAMESPACES, {"namespace": "mine"}),
        ("PUT", space, {"namespace": name}),
        ("DELETE", space, None),
        ("POST", f"{space}/objects", {"name": "n"}),
        ("PUT", f"{space}/objects/o", {"name": "n"}),
        ("POST", f"{space}/properties", property_),
        ("PUT", f"{space}/properties/p", property_),
        ("POST", f"{space}/tags", {"tags": [{"name": "n"}]}),
        ("POST", f"{space}/tags/n", None),
        ("PUT", f"{space}/tags/t", {"name": "n"}),
        ("POST", f"{space}/resource_types", {"name": "n"}),
        ("DELETE", f"{space}/resource_types/r", None),
        *(("DELETE", f"{space}{part}", None) for part in INSIDE),
    ]
    for method, path, body in requests:
        assert (await filled.ask(who, method, path, body))[0] == status, (method, path)
    _, found = await filled.ask(ADMIN, "GET", space)
    assert found["tags"] == [{"name": "t"}]
    assert {one["name"] for one in found["objects"]} == {"o"}


async def test_a_namespace_is_its_makers_unless_it_is_said(api: Api) -> None:
    _, made = await api.ask(ADMIN, "POST", NAMESPACES, {"namespace": "mine"})
    assert made["owner"] == "head"
    await api.ask(ADMIN, "PUT", f"{NAMESPACES}/mine", {"namespace": "mine", "owner": "x"})
    _, changed = await api.ask(ADMIN, "PUT", f"{NAMESPACES}/mine", {"namespace": "mine"})
    assert changed["owner"] == "head"


WRONG = [
    {"title": "t", "type": "string", "unknown": 1},
    {"title": "t", "type": "string", "required": []},
    {"title": "t", "type": "string", "enum": [1]},
    {"title": "t", "type": "array", "items": {"enum": ["a"]}},
    {"title": "t", "type": "array", "items": {"type": "string", "unknown": 1}},
    {"title": "t", "type": "array", "items": {"type": "string", "enum": [None]}},
    {"title": "t", "type": "integer", "minimum": float("inf")},
    {"title": "t", "type": "integer", "maximum": float("nan")},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_what_glance_fails_at_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    space = {"namespace": "n", "owner": "o"}
    for body in (
        {**space, "properties": {"p": wrong}},
        {**space, "objects": [{"name": "o", "properties": {"p": wrong}}]},
    ):
        assert (await api.ask(ADMIN, "POST", NAMESPACES, body))[0] == 400
    assert (await api.ask(ADMIN, "POST", NAMESPACES, space))[0] == 201
    for kind, body in (
        ("properties", {**wrong, "name": "p"}),
        ("objects", {"name": "o", "properties": {"p": wrong}}),
    ):
        assert (await api.ask(ADMIN, "POST", f"{NAMESPACES}/n/{kind}", body))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        {"objects": [{}]},
        {"objects": [{"name": "o", "unknown": 1}]},
        {"tags": [{}]},
        {"tags": [{"name": "t", "unknown": 1}]},
        {"resource_type_associations": [{"prefix": "x"}]},
        {"resource_type_associations": [{"name": "r", "unknown": 1}]},
    ],
    ids=str,
)
async def test_nested_things_are_refused_where_glance_fails(api: Api, body: Any) -> None:
    status, told = await api.ask(ADMIN, "POST", NAMESPACES, {"namespace": "n", **body})
    assert status == 400
    assert "'unknown'" in told or "'name'" in told
    assert (await api.ask(ADMIN, "GET", f"{NAMESPACES}/n"))[0] == 404


async def test_what_was_shown_can_be_sent_elsewhere(filled: Api) -> None:
    _, found = await filled.ask(ADMIN, "GET", f"{NAMESPACES}/public")
    sent = {key: one for key, one in found.items() if key not in ("self", "schema")}
    sent = {key: one for key, one in sent.items() if not key.endswith("_at")}
    status, made = await filled.ask(ADMIN, "POST", NAMESPACES, sent | {"namespace": "copy"})
    assert status == 201
    assert made["properties"] == found["properties"]
    _, copy = await filled.ask(ADMIN, "GET", f"{NAMESPACES}/copy")
    assert [one["name"] for one in copy["objects"]] == ["o"]


@pytest.mark.parametrize("path", [NAMESPACES, f"{NAMESPACES}/public/tags"])
@pytest.mark.parametrize("query", ["limit=x", "sort_key=nothing", "sort_dir=x"])
async def test_listings_that_make_no_sense(filled: Api, path: str, query: str) -> None:
    assert (await filled.ask(ADMIN, "GET", f"{path}?{query}"))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        {"namespace": ""},
        {"resource_type_associations": [{"name": "x" * 81}]},
        {"objects": [{"name": "x" * 81}]},
        {"properties": {"x" * 81: {"title": "X", "type": "string"}}},
        {"tags": [{"name": "x" * 81}]},
    ],
)
async def test_names_by_which_nothing_could_be_found(api: Api, body: Mapping[str, Any]) -> None:
    assert (await api.ask(ADMIN, "POST", NAMESPACES, {"namespace": "n", **body}))[0] == 400
    assert (await api.ask(ADMIN, "GET", f"{NAMESPACES}/n"))[0] == 404


async def test_every_page_is_reached(api: Api) -> None:
    for number in range(5):
        body = {"namespace": f"n {number}&ü", "visibility": "public"}
        assert (await api.ask(ADMIN, "POST", NAMESPACES, body))[0] == 201
    names = []
    path = f"{NAMESPACES}?limit=2&visibility=public"
    while path:
        _, body = await api.ask(OTHER, "GET", path)
        names += [one["namespace"] for one in body["namespaces"]]
        path = body.get("next")
    assert names == [f"n {number}&ü" for number in reversed(range(5))]
