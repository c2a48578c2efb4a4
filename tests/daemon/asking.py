"""Asks the API of a daemon, and what there is to be asked about."""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from meltemi.daemon.api.app import Operation
from tests.support.archives import put_images, raw
from tests.support.cli import User
from tests.support.daemon import Daemon
from tests.support.glance import Service
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

READER, OPERATOR, ADMIN = ROLES = ("reader", "operator", "admin")
TOKENS = {role: {"role": role, "sha256": sha256(role.encode()).hexdigest()} for role in ROLES}
"""Tokens that are their roles' names, for `daemon.tokens`."""

_SAMPLES = {"{kind}": "route", "{name}": "all", "{library}": "R1"}

SILENCE = 300
"""Seconds."""


@dataclass(frozen=True)
class Answer:
    """What the daemon says."""

    status: int
    headers: http.client.HTTPMessage
    body: Any

    @property
    def message(self) -> str:
        """Give the message of an error."""
        error = self.body["error"]
        assert error["code"] == self.status
        assert error["title"] == HTTPStatus(self.status).phrase
        message: str = error["message"]
        return message


@dataclass
class Event:
    """One event of a stream; `id` is 0 where it has none."""

    kind: str
    id: int
    data: Any


class Stream:
    """Events as they come."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.response = response

    def next(self) -> Event | None:
        """Wait for an event; None where the stream has ended."""
        fields: dict[str, str] = {}
        while line := self.response.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                number = int(fields.get("id", 0))
                return Event(fields["event"], number, json.loads(fields["data"]))
        return None

    def changes(self) -> Iterator[Event]:
        """Give changes as they come, nothing else."""
        while event := self.next():
            if event.kind == "change":
                yield event


class Asked:
    """A daemon that is asked."""

    def __init__(self, daemon: Daemon, token: str = ADMIN, cafile: Path | None = None) -> None:
        self.daemon = daemon
        self.token = token
        self._tls = ssl.create_default_context(cafile=cafile) if cafile else None

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask; a token of None is none."""
        with self._asked(method, path, body, token, headers) as response:
            text = response.read().decode()
            is_json = response.headers.get_content_type() == "application/json"
            found = json.loads(text) if is_json else text
            return Answer(response.status, response.headers, found)

    def get(self, path: str, *, token: str | None = "") -> Any:
        """Read a document."""
        answer = self.call("GET", path, token=token)
        assert answer.status == 200, answer
        return answer.body

    def until_refused(self, token: str) -> None:
        """Wait until a token does not count any more."""
        eventually(lambda: self.call("GET", "/v1/daemon", token=token).status == 401)

    @contextmanager
    def watching(
        self, query: str = "", *, token: str | None = "", last: int | None = None
    ) -> Iterator[Stream]:
        """Watch what changes."""
        headers = {"Last-Event-ID": str(last)} if last is not None else {}
        with self._asked("GET", f"/v1/events{query}", None, token, headers) as response:
            assert response.status == 200, response.read()
            assert response.headers.get_content_type() == "text/event-stream"
            yield Stream(response)

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        body: Any,
        token: str | None,
        headers: Mapping[str, str] | None,
    ) -> Iterator[http.client.HTTPResponse]:
        url = urlsplit(self.daemon.url)
        place, port = url.hostname or "", url.port
        connection = (
            http.client.HTTPSConnection(place, port, timeout=SILENCE, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(place, port, timeout=SILENCE)
        )
        given = self.token if token == "" else token
        sent = {**(headers or {}), **({"X-Auth-Token": given} if given else {})}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, sent)
            yield connection.getresponse()
        finally:
            connection.close()


class Shelves:
    """A source and two targets, `R1` and `R2`, that are archives in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, number: int, name: str, data: bytes, owner: str | None = None) -> str:
        """Put an image into the source; give its id."""
        image = f"{number:08x}-0000-4000-8000-000000000000"
        put_images(self.folder / "src", [(raw(image, name, owner), data)])
        return image

    def configuration(self, **daemon: Any) -> dict[str, Any]:
        """Give a configuration that carries everything to both."""
        return {
            "version": 1,
            "daemon": {"tokens": TOKENS, **daemon},
            "libraries": {n: {"path": str(self.folder / n)} for n in ("src", "R1", "R2")},
            "routes": {"all": {"from": "src", "to": ["R1", "R2"], "within": "15m"}},
        }


def path_of(operation: Operation) -> str:
    """Give a path that an operation answers."""
    path = operation.path
    for part, sample in _SAMPLES.items():
        path = path.replace(part, sample)
    return path


def settled(asked: Asked, count: int) -> None:
    """Wait until so many placements are ready."""
    eventually(lambda: len(asked.get("/v1/placements?observed=ready")["placements"]) == count)


def operator(asked: Asked, role: str = OPERATOR) -> User:
    """Give somebody at a shell, with a token."""
    return User(
        asked.daemon.folder,
        lambda: {"MELTEMI_DAEMON": asked.daemon.url, "MELTEMI_DAEMON_TOKEN": role},
    )


@dataclass(frozen=True)
class Cloud:
    """A daemon, the Glance that it copies from, one that it copies to, and what is before another.

    The two are its `R1` and `R2`.
    """

    asked: Asked
    source: Service
    first: Service
    second: Proxy

    def look(self) -> None:
        """Have the daemon look at what is there now."""
        assert self.asked.call("POST", "/v1/runs").status == 202


@contextmanager
def cloud_of(glances: Mapping[str, Service], folder: Path) -> Iterator[Cloud]:
    """Start such a daemon, on Glances that are emptied."""
    for place in glances.values():
        place.server.resume()
        place.server.start()
        place.wipe()
    with Proxy(glances["two"].url) as proxy:
        places = {"src": glances["source"].url, "R1": glances["one"].url, "R2": proxy.url}
        settings = {
            "version": 1,
            "daemon": {"tokens": TOKENS},
            "libraries": {name: {"url": url} for name, url in places.items()},
            "routes": {"all": {"from": "src", "to": ["R1", "R2"], "within": "15m"}},
        }
        with Daemon(folder, settings) as daemon:
            yield Cloud(Asked(daemon), glances["source"], glances["one"], proxy)
