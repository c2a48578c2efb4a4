"""Conversations generated from the schemas that Glance itself gives; the same in every run."""

import string
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.parity.asking import (
    OLD_PATCH,
    PATCH,
    Conversation,
    Request,
    ask,
    change,
    delete,
    get,
    head,
    post,
    put,
    talk,
)

Schema = Mapping[str, Any]
Value = TypeVar("Value")

_IMAGE = "/v2/images/<image>"
_WORDS = st.text(string.ascii_letters + string.digits + "_-. ", min_size=1, max_size=12)
_ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(-100, 100, width=16),
    st.text(string.printable + "éß\N{GRINNING FACE}", max_size=8),
    st.lists(st.integers(0, 9), max_size=2),
    st.dictionaries(_WORDS, st.integers(0, 9), max_size=2),
)


def conversations(image: Schema, *, batch: int, count: int) -> list[Conversation]:
    """Give one batch of so many; the schema is Glance's of an image.

    There are none of metadata definitions: Glance fails at some now and then, and has then done a
    part of what was asked or nothing.
    """
    return [
        talk(f"generated/{batch}-{number}", requests)
        for number, requests in enumerate(_examples(_about_images(image), batch, count))
    ]


def _examples(strategy: SearchStrategy[Value], start: int, count: int) -> list[Value]:
    found: list[Value] = []

    @seed(start)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),  # how long it takes, the machine's load says
    )
    @given(strategy)
    def collect(one: Value) -> None:
        found.append(one)

    collect()
    return found


def _fitting(schema: Schema) -> SearchStrategy[Any]:
    """Values that a property's schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", "string")
    several = [_of_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return st.one_of(several)


def _of_kind(kind: str, schema: Schema) -> SearchStrategy[Any]:
    if kind == "string":
        if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True, alphabet="0123456789abcdef-")
        most = schema.get("maxLength", 40)
        return st.text(string.ascii_letters + " _-.:é", max_size=min(most, 40))
    if kind == "integer":
        return st.integers(0, 2**31 - 1)
    if kind == "array":
        return st.lists(_fitting(schema.get("items", {})), max_size=3)
    if kind == "object":
        return st.fixed_dictionaries(
            {k: _fitting(v) for k, v in schema.get("properties", {}).items()}
        )
    return {"null": st.none(), "boolean": st.booleans(), "number": st.integers(0, 99)}[kind]


def _value(schema: Schema) -> SearchStrategy[Any]:
    """Values, most of which fit."""
    fitting = _fitting(schema)
    return st.one_of(fitting, fitting, fitting, _ANYTHING)


def _body(schema: Schema) -> SearchStrategy[dict[str, Any]]:
    """Bodies with some of a schema's properties: mostly right, seldom all of them wrong."""
    right = {
        name: _fitting(one)
        for name, one in schema["properties"].items()
        if not one.get("readOnly") and "$ref" not in one and name not in {"id", "locations"}
    }
    rightly = st.fixed_dictionaries({}, optional=right)
    return st.one_of(rightly, rightly, rightly, _any_body(schema))


def _any_body(schema: Schema) -> SearchStrategy[dict[str, Any]]:
    properties = {name: one for name, one in schema["properties"].items() if "$ref" not in one}
    settable = sorted(name for name, one in properties.items() if not one.get("readOnly"))
    names = st.lists(
        st.one_of(*[st.sampled_from(settable)] * 9, st.sampled_from(sorted(properties))),
        max_size=4,
        unique=True,
    )
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: _value(properties[name]) for name in chosen})
    )


def _about_images(schema: Schema) -> SearchStrategy[list[Request]]:
    properties = schema["properties"]
    custom = st.dictionaries(
        _WORDS.map(lambda word: f"p_{word}"), st.text("ab é", max_size=9), max_size=2
    )
    body = st.tuples(_body(schema), custom).map(lambda pair: pair[0] | pair[1])
    made = body.map(lambda json: post("/v2/images", json, keep={"image": "/id"}))
    name = st.sampled_from([*sorted(properties), "p_a", "p_b", "os_distro", "a/b", "a~b"])
    pointer = name.map(lambda one: "/" + one.replace("~", "~0").replace("/", "~1"))
    operation = st.sampled_from(["add", "replace", "replace", "remove", "test"])
    fitting = name.flatmap(lambda one: st.tuples(st.just(one), _value(properties.get(one, {}))))
    changes = st.one_of(
        st.tuples(operation, fitting).map(lambda it: change(it[0], f"/{it[1][0]}", it[1][1])),
        st.tuples(operation, pointer, _ANYTHING).map(lambda it: change(*it)),
        pointer.map(lambda one: change("remove", one)),
    )
    old = st.tuples(operation, pointer, _ANYTHING).map(lambda it: {it[0]: it[1], "value": it[2]})
    patches = st.one_of(
        st.lists(changes, min_size=1, max_size=3).map(
            lambda many: ask("PATCH", _IMAGE, many, kind=PATCH)
        ),
        st.lists(old, min_size=1, max_size=2).map(
            lambda many: ask("PATCH", _IMAGE, many, kind=OLD_PATCH)
        ),
    )
    steps = st.one_of(patches, patches, _listings(properties), _data(), _relations())
    return st.tuples(made, st.lists(steps, min_size=3, max_size=8)).map(
        lambda pair: [pair[0], *pair[1], get(_IMAGE)]
    )


def _listings(properties: Mapping[str, Schema]) -> SearchStrategy[Request]:
    known = st.sampled_from(sorted(properties)).flatmap(
        lambda name: st.tuples(st.just(name), _fitting(properties[name]).map(str))
    )
    operator = st.sampled_from(["", "", "in:", "neq:", "gt:", "gte:", "lt:", "eq:"])
    filters = st.tuples(known, operator).map(lambda it: (it[0][0], it[1] + it[0][1]))
    keys = st.sampled_from(
        ["name", "status", "size", "id", "created_at", "updated_at", "disk_format", "owner", "x"]
    )
    others = st.one_of(
        st.tuples(st.just("sort_key"), keys),
        st.tuples(st.just("sort_dir"), st.sampled_from(["asc", "desc", "up"])),
        st.tuples(
            st.just("sort"), st.tuples(keys, st.sampled_from(["", ":asc", ":x"])).map("".join)
        ),
        st.tuples(st.just("limit"), st.sampled_from(["0", "1", "2", "-1", "x"])),
        st.tuples(st.just("tag"), st.sampled_from(["a", "b", ""])),
        st.tuples(st.just("member_status"), st.sampled_from(["all", "accepted", "x"])),
        st.tuples(st.sampled_from(["size_min", "size_max"]), st.sampled_from(["0", "5", "x"])),
        st.tuples(st.just("marker"), st.sampled_from(["<image>", "x"])),
    )
    queries = st.lists(st.one_of(filters, others), max_size=3)
    return queries.map(lambda pairs: get(f"/v2/images?{urlencode(pairs, safe='<>:,')}"))


def _data() -> SearchStrategy[Request]:
    file = f"{_IMAGE}/file"
    number = st.integers(0, 30).map(str)
    spans = st.tuples(st.one_of(st.just(""), number), st.one_of(st.just(""), number))
    return st.one_of(
        st.tuples(st.binary(max_size=25), st.booleans()).map(
            lambda it: ask("PUT", file, body=it[0], kind="application/octet-stream", chunked=it[1])
        ),
        spans.map(lambda it: get(file, headers={"Range": f"bytes={it[0]}-{it[1]}"})),
        st.just(get(file)),
        st.just(head(file)),
        st.just(delete(_IMAGE)),
        st.sampled_from(["deactivate", "reactivate"]).map(
            lambda it: post(f"{_IMAGE}/actions/{it}")
        ),
    )


def _relations() -> SearchStrategy[Request]:
    member = st.sampled_from(["m", "n"])
    status = st.sampled_from(["accepted", "pending", "rejected", "x"])
    tag = st.one_of(st.sampled_from(["a", "b"]), _WORDS).map(quote)
    members = f"{_IMAGE}/members"
    return st.one_of(
        tag.map(lambda one: put(f"{_IMAGE}/tags/{one}")),
        tag.map(lambda one: delete(f"{_IMAGE}/tags/{one}")),
        member.map(lambda one: post(members, {"member": one})),
        st.just(get(members)),
        st.tuples(member, status).map(lambda it: put(f"{members}/{it[0]}", {"status": it[1]})),
        member.map(lambda one: delete(f"{members}/{one}")),
    )
