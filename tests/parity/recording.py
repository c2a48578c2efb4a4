"""Records what clients send: `python -m tests.parity.recording` writes recorded/ anew.

The clients run against a real Glance behind Keystone, through a proxy that writes down each request
and what of it came from an earlier answer.
"""

import re
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from lab import Postgres, venvs
from lab.process import clean_environment
from tests.parity.asking import KEYSTONE, Request
from tests.parity.peers import Answer, Peer
from tests.parity.replaying import save
from tests.parity.worlds import ACCOUNTS, WORLDS

_SESSIONS = Path(__file__).with_name("sessions")
_PROGRAMS = {
    "sdk.py": ("client", ("life", "pages", "members", "import", "schemas")),
    "glanceclient.py": (
        "glanceclient",
        ("life", "chunked", "members", "import", "refused", "definitions"),
    ),
}
_NOT_THE_CLIENTS = {"host", "connection", "content-length", "transfer-encoding", "x-auth-token"}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Recorder:
    """What was sent so far in a session, with what answers told put in by name."""

    def __init__(self, users: Mapping[str, str], known: Mapping[str, str]) -> None:
        """Take the user of each token, and the names of ids that every service knows."""
        self._users = users
        self._names = {value: name for name, value in known.items()}
        self._places: dict[str, tuple[int, str]] = {}
        self.requests: list[Request] = []

    def add(self, request: Request, answer: Answer) -> None:
        """Write a request down; tokens become users, and ids names."""
        for text in (request.path, (request.body or b"").decode("latin-1")):
            for found in _UUID.findall(text):
                self._name(found)
        headers = {
            key: self._put(value)
            for key, value in request.headers.items()
            if key.lower() not in _NOT_THE_CLIENTS
        }
        body = request.body and self._put(request.body.decode("latin-1")).encode("latin-1")
        token = {key.lower(): value for key, value in request.headers.items()}.get(
            "x-auth-token", ""
        )
        user = self._users.get(token, "alice")
        path = self._put(request.path)
        made = Request(request.method, path, body, headers, user, request.chunked)
        self._append(made, answer)
        for found, place in _leaves(answer.at(""), ""):
            self._places.setdefault(found, (len(self.requests) - 1, place))

    def _append(self, request: Request, answer: Answer) -> None:
        importing = any(one.path.endswith("/import") for one in self.requests)
        if importing and request.method == "GET" and answer.at("/status"):
            # How often a client must ask until an import is done says nothing.
            request = replace(request, until=("/os_glance_import_task", None))
            if self.requests[-1] == request:
                self.requests.pop()
        self.requests.append(request)

    def _name(self, found: str) -> None:
        if found in self._names or found not in self._places:
            return
        number, place = self._places[found]
        name = f"id-{len(self._names)}"
        self._names[found] = name
        kept = {**self.requests[number].keep, name: place}
        self.requests[number] = replace(self.requests[number], keep=kept)

    def _put(self, text: str) -> str:
        for value, name in self._names.items():
            text = text.replace(value, f"<{name}>")
        return text


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, f"{place}/{key}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(one, f"{place}/{number}")
    elif isinstance(value, str) and _UUID.fullmatch(value):
        yield value, place


@contextmanager
def _proxy(peer: Peer, recorders: list[Recorder]) -> Iterator[str]:
    """Pass requests on to a service, one at a time, and write them into the last recorder."""
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            chunked = self.headers.get("Transfer-Encoding") == "chunked"
            body = self._chunks() if chunked else self._whole()
            request = Request(
                self.command, self.path, body, dict(self.headers.items()), chunked=chunked
            )
            passed = {k: v for k, v in request.headers.items() if k.lower() != "transfer-encoding"}
            passed.pop("Content-Length", None)
            sent = Request(self.command, self.path, body, passed, chunked=chunked)
            with turn:
                answer = peer.send(sent, "as the client says")
                recorders[-1].add(request, answer)
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        def _whole(self) -> bytes | None:
            length = self.headers.get("Content-Length")
            return None if length is None else self.rfile.read(int(length))

        def _chunks(self) -> bytes:
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - its name
            """Keep quiet."""

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _clouds(folder: Path, proxy: str, keystone: str) -> Path:
    clouds = {
        user: {
            "auth": {
                "auth_url": keystone,
                "username": user,
                "password": "secret",
                "project_name": project,
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            "image_endpoint_override": proxy,
            "interface": "public",
            "region_name": "reference",
        }
        for user, (project, _) in ACCOUNTS.items()
    }
    path = folder / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": clouds}))
    return path


class _Words(dict[str, str]):
    """What stands in braces in a command: what is known, or the id of the image of that name."""

    def __init__(self, admin: Peer, known: Mapping[str, str]) -> None:
        super().__init__(known)
        self._admin = admin

    def __missing__(self, name: str) -> str:
        path = f"/v2/images?name={name}&visibility=all"
        return str(self._admin.send(Request("GET", path)).at("/images/0/id"))


def _sessions(folder: Path, admin: Peer) -> Iterator[tuple[str, Callable[[], Iterator[list[str]]]]]:
    """Give each session's name, and what gives its commands one after another."""
    data = folder / "data"
    data.write_bytes(b"data of an image" * 100)
    words = {"data": str(data), "folder": str(folder), "blue": admin.known["project.blue"]}
    openstack = venvs.environment("client") / "bin" / "openstack"
    for name, lines in yaml.safe_load((_SESSIONS / "openstack.yaml").read_text()).items():

        def commands(lines: list[str] = lines) -> Iterator[list[str]]:
            known = _Words(admin, words)
            for line in lines:
                yield [str(openstack), *shlex.split(line.format_map(known))[1:]]

        yield f"openstack {name}", commands
    for script, (venv, names) in _PROGRAMS.items():
        python = venvs.environment(venv) / "bin" / "python"
        for name in names:
            session = f"{Path(script).stem} {name}"
            command = [str(python), "-P", str(_SESSIONS / script), session, words["blue"]]
            yield session, lambda command=command: iter([command])  # type: ignore[misc]


def main(chosen: str = "") -> None:
    """Run every session, or those with a word in their names, and write what was sent."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(Postgres())
        world = stack.enter_context(WORLDS[KEYSTONE](folder, postgres))
        glance = world.peers[0]
        users = {token: user for user, token in glance.tokens.items()}
        recorders: list[Recorder] = []
        proxy = stack.enter_context(_proxy(Peer(glance.url), recorders))
        clouds = _clouds(folder, proxy, world.keystone)
        environment = {"OS_CLIENT_CONFIG_FILE": str(clouds), "OS_CLOUD": "alice"}
        for name, commands in _sessions(folder, glance):
            if chosen not in name:
                continue
            recorders.append(Recorder(users, glance.known))
            for command in commands():
                done = subprocess.run(
                    command,
                    env={**clean_environment(), **environment},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                sys.stderr.write(f"{done.returncode} {name}: {command[1:]}\n{done.stderr}")
            save(name.replace(" ", "-"), recorders[-1].requests)


if __name__ == "__main__":
    main(*sys.argv[1:])
