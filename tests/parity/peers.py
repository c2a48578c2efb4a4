"""A service that is asked, and what it answers."""

import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.parity.asking import PATCH, Conversation, Request

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status 0 is a connection that was cut."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def at(self, place: str) -> Any:
        """Give what the JSON body has at a place such as /images/0/id, None where nothing is."""
        try:
            found: Any = json.loads(self.body)
            for step in place.split("/")[1:]:
                found = found[int(step) if isinstance(found, list) else step]
        except (ValueError, LookupError, TypeError, RecursionError):
            return None
        return found


class Peer:
    """One service, reached at a URL, with a token for each user that has one.

    `known` is what requests may name from the beginning, such as the ids of projects.
    """

    def __init__(
        self, url: str, tokens: Mapping[str, str] | None = None, known: Mapping[str, str] = {}
    ) -> None:
        """Remember where it is; nothing is sent yet."""
        self.url = url
        self._address = urlsplit(url)
        self.tokens = tokens or {}
        self.known = known

    def hold(self, conversation: Conversation) -> list[Answer]:
        """Send a conversation's requests and give the answers; what it made is then removed."""
        known = dict(self.known)
        made: list[str] = []
        try:
            answers = []
            for request in conversation.requests:
                user = request.user or conversation.user
                filled = request.fill(known.get)
                answer = self._patiently(filled, user)
                answers.append(answer)
                for name, place in request.keep.items():
                    absent = "/no/next" if place == "/next" else f"no-{name}"
                    known[name] = str(answer.at(place) or absent)
                made += _what_was_made(filled, answer)
            return answers
        finally:
            for path in reversed(made):
                self._remove(path)

    def send(self, request: Request, user: str = "admin") -> Answer:
        """Send one request and give the answer."""
        headers = {**request.headers}
        if token := self.tokens.get(user):
            headers.setdefault("X-Auth-Token", token)
        place = (self._address.hostname or "", self._address.port)
        connection = http.client.HTTPConnection(*place, timeout=60)
        with contextlib.closing(connection):
            body = _in_chunks(request.body or b"") if request.chunked else request.body
            # An answer may come, and the connection end, before all was sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(
                    request.method, request.path, body, headers, encode_chunked=request.chunked
                )
            try:
                response = connection.getresponse()
                return Answer(response.status, tuple(response.getheaders()), response.read())
            except (http.client.HTTPException, OSError):
                return Answer(0)

    def _patiently(self, request: Request, user: str) -> Answer:
        deadline = time.monotonic() + _PATIENCE
        while True:
            answer = self.send(request, user)
            if request.until is None or time.monotonic() > deadline:
                return answer
            place, value = request.until
            if answer.at(place) == value:
                return answer
            time.sleep(0.05)

    def _remove(self, path: str) -> None:
        gone = Request("DELETE", path)
        deadline = time.monotonic() + _PATIENCE
        # An image that is being imported cannot be deleted yet.
        while (status := self.send(gone).status) == HTTPStatus.CONFLICT:
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        if status != HTTPStatus.FORBIDDEN:
            return
        if path.startswith("/v2/images/"):
            changes = [{"op": "replace", "path": "/protected", "value": False}]
            body = json.dumps(changes).encode()
            self.send(Request("PATCH", path, body, {"Content-Type": PATCH}))
        else:
            name = unquote(path.rpartition("/")[2])
            body = json.dumps({"namespace": name, "protected": False}).encode()
            self.send(Request("PUT", path, body, {"Content-Type": "application/json"}))
        self.send(gone)


def _in_chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


def _what_was_made(request: Request, answer: Answer) -> list[str]:
    if request.method != "POST":
        return []
    if request.path == "/v2/images" and answer.status == HTTPStatus.CREATED:
        return [f"/v2/images/{answer.at('/id')}"]
    if request.path == "/v2/metadefs/namespaces":
        # Glance may refuse what is inside a namespace and yet keep the namespace.
        name = Answer(0, body=request.body or b"").at("/namespace")
        return [f"{request.path}/{quote(name, safe='')}"] if isinstance(name, str) and name else []
    return []
