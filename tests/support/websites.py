"""A web server on loopback, for images that are fetched from the web."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Page:
    """What a path answers: the first half of the data, then, once the gate is open, the rest."""

    data: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None


class Website:
    """Serves pages, and remembers which were asked for, and with which headers."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, dict(self.headers.items())))
                site.answer(self, site.pages.get(self.path, Page(status=404)))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def do_HEAD(self) -> None:
                site.begin(self, site.pages.get(self.path, Page(status=404)))

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.port: int = self._server.server_address[1]
        self.url = f"http://{host}:{self.port}"

    def put(self, path: str, data: bytes = b"", **more: object) -> str:
        """Let a path answer, and give its URL; `more` is what a `Page` has."""
        self.pages[path] = Page(data, **more)  # type: ignore[arg-type]
        return self.url + path

    def begin(self, handler: BaseHTTPRequestHandler, page: Page) -> None:
        """Send what comes before a page."""
        handler.send_response(page.status)
        for name, value in {"Content-Length": str(len(page.data)), **page.headers}.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()

    def answer(self, handler: BaseHTTPRequestHandler, page: Page) -> None:
        """Send a page."""
        self.begin(handler, page)
        half = len(page.data) // 2
        try:
            handler.wfile.write(page.data[:half])
            handler.wfile.flush()
            if page.gate:
                page.gate.wait()
            handler.wfile.write(page.data[half:])
        except ConnectionError:
            handler.close_connection = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for page in self.pages.values():
            if page.gate:
                page.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
