"""A workstation with files, and a region, the way to which counts and misbehaves on request."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from lab import Region
from tests.support.builds import MIB
from tests.support.cli import Done, Running, meltemi, running
from tests.support.glance import Place
from tests.support.proxy import Fault, Proxy


class Workstation:
    """A folder, and a library that commands use there."""

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        self.folder = folder
        self.proxy = proxy
        self.place = Place(proxy.upstream)
        self.small: tuple[Fault, ...] = ()

    def fault(self, *faults: Fault) -> None:
        """Let things go wrong from now on, and forget what was counted."""
        self.proxy.fault(*self.small, *faults)
        self.proxy.requests.clear()

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def image(self, *words: object, code: int | None = 0) -> Done:
        """Run a command about images."""
        return meltemi(*self._line(words), code=code, cwd=self.folder)

    def rows(self, *words: object) -> list[dict[str, Any]]:
        return self.image(*words, "-f", "json").rows

    def running(self, *words: object) -> AbstractContextManager[Running]:
        return running(*self._line(words), cwd=self.folder)

    def _line(self, words: tuple[object, ...]) -> tuple[object, ...]:
        return "image", *words, "--library", self.proxy

    def push(self, file: object, *words: object) -> dict[str, Any]:
        """Push a file; see that the library has it."""
        [row] = self.rows("push", file, *words)
        image = self.place.show(row["ID"])
        assert image["status"] == "active"
        assert "meltemi_push" not in image
        assert self.place.data(row["ID"]) == (self.folder / str(file)).read_bytes()
        return row

    def pull(self, image: str, file: str, *words: object) -> dict[str, Any]:
        """Pull an image; see that the file has it, and that nothing else is left."""
        [row] = self.rows("pull", image, file, *words)
        assert (self.folder / file).read_bytes() == self.place.data(image)
        assert not [path.name for path in self.folder.iterdir() if path.name[0] == "."]
        return row

    def moved(self, method: str = "", path: str = "") -> int:
        """Give the bytes of bodies that passed, of all requests or of some."""
        found = self.proxy.of(method, path) if method else self.proxy.requests
        return sum(request.sent + request.answered for request in found)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with Region(tmp_path_factory.mktemp("region")) as server:
        yield server


@pytest.fixture
def station(server: Region, tmp_path: Path) -> Iterator[Workstation]:
    """Give a workstation beside a region that wants small batches; it has no images."""
    with Proxy(server.url) as proxy:
        made = Workstation(tmp_path, proxy)
        for image in made.place.images():
            made.place.delete(image["id"])
        facts = made.place.call("GET", "/v2/info/exchange")["exchange"]
        told = json.dumps({"exchange": {**facts, "largest_batch": MIB}})
        made.small = (Fault("GET", "/info/exchange$", answer=200, body=told),)
        made.fault()
        yield made
