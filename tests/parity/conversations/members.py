"""Members."""

from collections.abc import Iterator
from typing import Any

from tests.parity.asking import (
    Conversation,
    Request,
    ask,
    create,
    delete,
    each,
    get,
    head,
    post,
    put,
    show,
    talk,
)

_ALL = "/v2/images/<image>/members"
_BLUE = f"{_ALL}/<project.blue>"
_BODIES: dict[str, Any] = {
    "right": {"member": "m"},
    "empty": {"member": ""},
    "null": {"member": None},
    "number": {"member": 5},
    "object": {"member": {}},
    "none": {},
    "extra": {"member": "m", "status": "accepted"},
    "other": {"member_id": "m"},
    "list": ["m"],
    "long": {"member": "x" * 255},
    "too-long": {"member": "x" * 256},
    "unicode": {"member": "é"},
    "space": {"member": "a b"},
}
_ANSWERS: dict[str, Any] = {
    "accepted": {"status": "accepted"},
    "pending": {"status": "pending"},
    "rejected": {"status": "rejected"},
    "rubbish": {"status": "rubbish"},
    "empty": {"status": ""},
    "null": {"status": None},
    "number": {"status": 5},
    "none": {},
    "extra": {"status": "accepted", "member": "x"},
    "list": ["accepted"],
    "case": {"status": "Accepted"},
}


def conversations() -> Iterator[Conversation]:
    """Give them."""
    yield from each(
        "members/body",
        {
            label: [create(), post(_ALL, body), get(_ALL), post(_ALL, body), show()]
            for label, body in _BODIES.items()
        },
    )
    yield from each(
        "members/answer",
        {
            label: [create(), post(_ALL, {"member": "m"}), put(f"{_ALL}/m", body), get(f"{_ALL}/m")]
            for label, body in _ANSWERS.items()
        },
    )
    yield from each(
        "members/visibility",
        {
            one: [
                create({"visibility": one}),
                post(_ALL, {"member": "m"}),
                get(_ALL),
                get(f"{_ALL}/m"),
                put(f"{_ALL}/m", {"status": "accepted"}),
                delete(f"{_ALL}/m"),
            ]
            for one in ("private", "shared", "community", "public")
        },
    )
    yield talk("members/none", create(), get(_ALL), get(f"{_ALL}/m"), delete(f"{_ALL}/m"))
    yield talk("members/none-answer", create(), put(f"{_ALL}/m", {"status": "accepted"}))
    yield talk("members/head", create(), head(_ALL), post(_ALL, {"member": "m"}), head(f"{_ALL}/m"))
    several = [post(_ALL, {"member": name}) for name in ("b", "a", "c")]
    gone = [delete(f"{_ALL}/a"), get(_ALL), delete(f"{_ALL}/a"), post(_ALL, {"member": "a"})]
    yield talk("members/several", create(), several, get(_ALL), gone, get(_ALL))
    many = [post(_ALL, {"member": f"m{n}"}) for n in range(129)]
    yield talk("members/quota", create(), many)
    yield talk("members/patch", create(), ask("PATCH", _ALL, {}), put(_ALL, {}))
    yield talk("members/protected", create({"protected": True}), post(_ALL, {"member": "m"}))
    yield talk("members/missing", post("/v2/images/x/members", {"member": "m"}))
    yield from _people()


def _shared() -> list[Request]:
    return [
        create({"name": "shared"}, user="alice"),
        post(_ALL, {"member": "<project.blue>"}, user="alice"),
    ]


def _people() -> Iterator[Conversation]:
    for user in ("admin", "alice", "amy", "bob", "ben", "nova", "norole", "nobody", "forged"):
        for visibility in ("private", "shared", "community"):
            yield talk(
                f"members/offer-as/{user}-{visibility}",
                create({"visibility": visibility}, user="alice"),
                post(_ALL, {"member": "<project.blue>"}, user=user),
                get(_ALL, user=user),
                get(_BLUE, user=user),
                delete(_BLUE, user=user),
                world="keystone",
            )
        yield talk(
            f"members/answer-as/{user}",
            _shared(),
            show(user=user),
            get(_ALL, user=user),
            get(_BLUE, user=user),
            put(_BLUE, {"status": "accepted"}, user=user),
            put(_BLUE, {"status": "rubbish"}, user=user),
            get("/v2/images", user=user),
            get(f"{_ALL}/other", user=user),
            post(_ALL, {"member": "other"}, user=user),
            delete(_BLUE, user=user),
            get(_ALL, user="alice"),
            world="keystone",
        )
    for status in ("accepted", "pending", "rejected"):
        yield talk(
            f"members/status/{status}",
            _shared(),
            put(_BLUE, {"status": status}, user="bob"),
            get("/v2/images", user="bob"),
            get("/v2/images?visibility=shared&member_status=all", user="bob"),
            get("/v2/images/<image>", user="bob"),
            put(_BLUE, {"status": "pending"}, user="bob"),
            get("/v2/images", user="bob"),
            post(_ALL, {"member": "<project.blue>"}, user="alice"),
            delete(_BLUE, user="alice"),
            get("/v2/images/<image>", user="bob"),
            world="keystone",
        )
    yield talk(
        "members/two",
        _shared(),
        post(_ALL, {"member": "third"}, user="alice"),
        get(_ALL, user="bob"),
        get(f"{_ALL}/third", user="bob"),
        get(_ALL, user="alice"),
        get(_ALL, user="admin"),
        world="keystone",
    )
