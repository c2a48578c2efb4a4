"""What the comparison sees, what it looks past, and what the list of allowed differences does."""

import json
from typing import Any

import pytest

from tests.parity.asking import create, get, talk
from tests.parity.conversations import CONVERSATIONS
from tests.parity.differing import Allowed, AllowedList, Difference, compare
from tests.parity.generating import conversations
from tests.parity.peers import Answer
from tests.parity.replaying import recorded

_A, _B = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
_C, _D = "00000000-0000-4000-8000-00000000000c", "00000000-0000-4000-8000-00000000000d"


def _seen(left: list[Answer], right: list[Answer]) -> list[tuple[str, str, str]]:
    conversation = talk("c", [get(f"/{number}") for number in range(len(left))])
    found = compare(conversation, ("http://h:1", left), ("http://h:2", right))
    return [(one.field, one.reference, one.region) for one in found]


def _told(body: Any, status: int = 200, **headers: str) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, tuple(named.items()), text)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (_told({}, 200), _told({}, 201), [("status", "200", "201")]),
        (_told({}, Allow="GET"), _told({}), [("header allow", '"GET"', "(nothing)")]),
        (_told({}, Allow="GET"), _told({}, Allow="PUT"), [("header allow", '"GET"', '"PUT"')]),
        (_told({"a": 1}), _told({"a": 1.0}), [("body /a", "1", "1.0")]),
        (_told({"a": None}), _told({}), [("body /a", "null", "(nothing)")]),
        (
            _told({"a": [1, 2]}),
            _told({"a": [2, 1]}),
            [("body /a/0", "1", "2"), ("body /a/1", "2", "1")],
        ),
        (_told({"a": [1]}), _told({"a": []}), [("body /a", "[1]", "[]")]),
        (_told(b"text"), _told(b"text "), [("body ", '"text"', '"text "')]),
        (_told(b"\xff"), _told(b"\xfe"), [("body ", '"ff"', '"fe"')]),
        (
            _told({"a": "x"}, Content_Length="12"),
            _told({"a": "x"}, Content_Length="10"),
            [("header content-length", '"right"', '"10, not 10"')],
        ),
    ],
)
def test_differences_are_seen(
    left: Answer, right: Answer, expected: list[tuple[str, str, str]]
) -> None:
    found = _seen([left], [right])
    assert [one[0] for one in found] == [one[0] for one in expected]
    assert found[0][1:] == expected[0][1:] or found[0][0] == "header content-length"


def test_what_must_differ_is_looked_past() -> None:
    left = {
        "id": _A,
        "created_at": "2026-01-01T00:00:00Z",
        "self": "http://h:1/x",
        "tags": ["a", "b"],
    }
    right = {
        "tags": ["b", "a"],
        "self": "http://h:2/x",
        "created_at": "2027-01-01T00:00:00Z",
        "id": _B,
    }
    one = _told(left, Date="now", Server="x", X_Openstack_Request_Id=f"req-{_C}")
    other = _told(right, Connection="close", x_openstack_request_id=f"req-{_D}")
    assert _seen([one], [other]) == []


def test_an_id_stands_always_for_the_same_one() -> None:
    left = [_told({"id": _A}), _told({"id": _A})]
    assert _seen(left, [_told({"id": _C}), _told({"id": _C})]) == []
    assert _seen(left, [_told({"id": _C}), _told({"id": _D})]) == [
        ("body /id", json.dumps(_A), json.dumps(_D))
    ]
    two = [_told({"id": _A}), _told({"id": _B})]
    assert _seen(two, [_told({"id": _C}), _told({"id": _C})]) == [
        ("body /id", json.dumps(_B), json.dumps(_C))
    ]


def test_other_things_in_a_list_are_one_difference_each() -> None:
    known = [_told([{"id": _A}, {"id": _B}]), _told([{"id": _A, "name": "a"}])]
    others = [_told([{"id": _C}, {"id": _D}]), _told([{"id": _D, "name": "d"}])]
    assert [one[0] for one in _seen(known, others)] == ["body /0/id"]


def test_a_status_that_differs_is_the_only_difference() -> None:
    assert _seen([_told(b"a", 500, A="b")], [_told(b"c", 400)]) == [("status", "500", "400")]


def test_only_what_is_allowed_is_allowed_and_an_entry_without_use_is_told() -> None:
    seen = Difference("open/c/d", "GET /x", "status", "500", "400")
    other = Difference("open/c/d", "GET /x", "status", "200", "400")
    used = Allowed("used", "open/c/*", ["status"], reference="5??")
    allowed = AllowedList([used, Allowed("unused", "*", ["header *"])])
    assert allowed.sift([seen, other]) == [other]
    assert allowed.unused() == ["unused"]


def test_every_conversation_has_a_name_of_its_own() -> None:
    names = [str(one) for one in (*CONVERSATIONS, *recorded())]
    assert len(set(names)) == len(names)


def test_chosen_ids_are_a_conversations_own() -> None:
    one, other = (talk(name, create({"id": "<id.a>"})).requests[0].body for name in "ab")
    assert one != other
    assert b"<" not in (one or b"<")


def test_the_same_is_generated_every_time() -> None:
    properties = {
        "name": {"type": ["null", "string"], "maxLength": 9},
        "min_disk": {"type": "integer"},
    }
    image = {"properties": properties}
    first = conversations(image, batch=3, count=9)
    assert first == conversations(image, batch=3, count=9)
    assert len(first) == 9
    assert first != conversations(image, batch=4, count=9)
