"""What is asked of two services: requests, and conversations that are made of them."""

import json as jsonlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

JSON = "application/json"
DATA = "application/octet-stream"
PATCH = "application/openstack-images-v2.1-json-patch"
OLD_PATCH = "application/openstack-images-v2.0-json-patch"

OPEN, KEYSTONE, LIMITS, FULL, TWINS = "open", "keystone", "limits", "full", "twins"
"""The worlds: without authentication, behind Keystone, the same with limits, with all that is off
by default switched on, and one of two Glances."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    In path, headers and body `<name>` stands for what an earlier answer of the same service had at
    the place that `keep` told: {"image": "/id"} is the `id` of a JSON object. `<id.name>` stands
    for a UUID that no other conversation has, since an id can be chosen once only. `user` is one of
    the world's, or nothing for the conversation's own. With `until` (a place and a value) the
    request is repeated while the answer has another value there, and the last answer counts.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    chunked: bool = False
    keep: Mapping[str, str] = field(default_factory=dict)
    until: tuple[str, Any] | None = None

    def __str__(self) -> str:
        """Give method, path, and what shows which one it is: a range, the beginning of a body."""
        shown = {"Range", "Content-Range", "Accept"} & self.headers.keys()
        words = [self.method, self.path, *(f"{key}: {self.headers[key]}" for key in sorted(shown))]
        if self.body is not None and self.headers.get("Content-Type") != DATA:
            words.append(repr(self.body[:100])[2:-1])
        return " ".join(words)

    def fill(self, look_up: Callable[[str], str | None]) -> "Request":
        """Put in what is known by name."""

        def put(text: str) -> str:
            return re.sub(r"<([\w.-]+)>", lambda name: look_up(name[1]) or name[0], text)

        body = self.body
        if body is not None and b"<" in body:
            body = put(body.decode("latin-1")).encode("latin-1")
        headers = {key: put(value) for key, value in self.headers.items()}
        return replace(self, path=put(self.path), headers=headers, body=body)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Requests that are sent one after another; nothing they need was made by another one."""

    name: str
    requests: tuple[Request, ...]
    world: str = OPEN
    user: str = "admin"

    def __str__(self) -> str:
        """Give the name, which is the test's."""
        return f"{self.world}/{self.name}"


def identifier(word: str) -> str:
    """Give a UUID that is the same for the same word."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, word))


def ask(
    method: str,
    path: str,
    json: Any = ...,
    *,
    body: bytes | None = None,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
    **rest: Any,
) -> Request:
    """Make a request with a JSON body, or with `body` of that `kind` (its Content-Type)."""
    sent = dict(headers or {})
    if json is not ...:
        body, kind = jsonlib.dumps(json).encode(), kind or JSON
    if kind:
        sent["Content-Type"] = kind
    return Request(method, path, body, sent, **rest)


def get(path: str, **rest: Any) -> Request:
    """Make a GET."""
    return ask("GET", path, **rest)


def head(path: str, **rest: Any) -> Request:
    """Make a HEAD."""
    return ask("HEAD", path, **rest)


def post(path: str, json: Any = ..., **rest: Any) -> Request:
    """Make a POST."""
    return ask("POST", path, json, **rest)


def put(path: str, json: Any = ..., **rest: Any) -> Request:
    """Make a PUT."""
    return ask("PUT", path, json, **rest)


def delete(path: str, **rest: Any) -> Request:
    """Make a DELETE."""
    return ask("DELETE", path, **rest)


def create(json: Any = None, *, keep: str = "image", **rest: Any) -> Request:
    """Make the request that creates an image, whose id is called `keep` from then on."""
    return post("/v2/images", {} if json is None else json, keep={keep: "/id"}, **rest)


def patch(*changes: Any, image: str = "image", kind: str = PATCH, **rest: Any) -> Request:
    """Make the request that changes an image."""
    return ask("PATCH", f"/v2/images/<{image}>", list(changes), kind=kind, **rest)


def change(op: str, path: str, value: Any = ...) -> dict[str, Any]:
    """Make one operation of a JSON patch."""
    return {"op": op, "path": path} | ({} if value is ... else {"value": value})


def upload(data: bytes, *, image: str = "image", **rest: Any) -> Request:
    """Make the request that gives an image its data."""
    return ask("PUT", f"/v2/images/<{image}>/file", body=data, kind=DATA, **rest)


def show(image: str = "image", **rest: Any) -> Request:
    """Make the request that shows an image."""
    return get(f"/v2/images/<{image}>", **rest)


DATA_IN_PART = get("/v2/images/<image>/file", headers={"Range": "bytes=0-"})
"""What asks for all of an image's data, and leaves no copy in the cache of a Glance."""

RAW = {"disk_format": "raw", "container_format": "bare"}


def active(data: bytes = b"0123456789", json: Any = None, *, keep: str = "image") -> list[Request]:
    """Make the requests after which there is an image with data."""
    return [create(RAW | (json or {}), keep=keep), upload(data, image=keep)]


def talk(name: str, *requests: Request | Sequence[Request], **rest: Any) -> Conversation:
    """Make a conversation of requests, or of lists of them."""
    flat: list[Request] = []
    for one in requests:
        flat.extend([one] if isinstance(one, Request) else one)

    def chosen(word: str) -> str | None:
        return identifier(f"{name} {word}") if word.startswith("id.") else None

    return Conversation(name, tuple(one.fill(chosen) for one in flat), **rest)


def each(
    name: str,
    cases: Mapping[str, Request | Sequence[Request]],
    *,
    before: Sequence[Request] = (),
    after: Sequence[Request] = (),
    **rest: Any,
) -> Iterator[Conversation]:
    """Make a conversation of each case."""
    for label, case in cases.items():
        yield talk(f"{name}/{label}", list(before), case, list(after), **rest)


def everywhere(conversations: Sequence[Conversation], user: str) -> Iterator[Conversation]:
    """Give conversations in the open world, and in the other as a user of it."""
    for one in conversations:
        yield one
        yield replace(one, world=KEYSTONE, user=user)
