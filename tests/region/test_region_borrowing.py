"""Snapshots whose parent is in another region: two real regions, and a way between them."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lab import Region
from tests.support.builds import MIB, disk
from tests.support.cli import meltemi, succeed
from tests.support.glance import Place, RefusedError
from tests.support.proxy import Fault, Proxy
from tests.support.waiting import eventually

PARENT = disk(range(60), 24)
CHILD = disk([*range(20), *range(100, 106), *range(22, 60)], 24)
"""Where six files took the place of two."""

GRANDCHILD = disk([*range(20), *range(100, 106), *range(22, 59), 200], 24)
BATCH = r"/batch$"


class Pair:
    """A region that has parents, and one that borrows from it, by a way that may be disturbed."""

    def __init__(self, home: Region, server: Region, way: Proxy) -> None:
        self.home, self.here = Place(home.url), Place(server.url)
        self.server = server
        self.way = way

    def loan(self, image: str) -> dict[str, Any] | None:
        try:
            loan: dict[str, Any] = self.here.call("GET", f"/v2/images/{image}/loan")["loan"]
        except RefusedError as error:
            assert error.status == 404
            return None
        return loan

    def snapshot(self, parent: str, data: bytes = CHILD) -> str:
        """Upload one, and wait until it borrows."""
        child = self.here.put("snapshot", data, base_image_ref=parent)
        eventually(lambda: self.loan(child) is not None)
        return child

    def holds(self) -> list[dict[str, Any]]:
        """Give what the one holds for the other."""
        images = self.home.call("GET", "/v2/images?os_hidden=true&limit=1000")["images"]
        return [image for image in images if "meltemi_held_for" in image]

    def stored(self) -> int:
        """Collect garbage; give the bytes that the borrowing region stores."""
        store = self.server.folder / "data" / "store"
        with closing(sqlite3.connect(store / "index.sqlite", timeout=120)) as index:
            index.execute("UPDATE packs SET sealed = 0")
            index.commit()
        succeed("store", "gc", store)
        return sum(path.stat().st_size for path in store.rglob("*") if "index" not in path.name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with Region(tmp_path_factory.mktemp("home"), name="home") as server:
        yield server


@pytest.fixture
def pair(home: Region, tmp_path: Path) -> Iterator[Pair]:
    with Proxy(home.url) as way:
        peers = [{"name": "RegionOne", "endpoint": way.url}]
        with Region(tmp_path / "here", settings={"peers": peers}) as server:
            yield Pair(home, server, way)


def test_only_what_the_parent_lacks_is_kept(pair: Pair) -> None:
    parent = pair.home.put("golden", PARENT)
    child = pair.snapshot(parent)
    loan = pair.loan(child)
    assert loan is not None
    assert (loan["region"], loan["parent"]) == ("RegionOne", parent)
    assert 300_000 < loan["own"] < 1_300_000
    assert pair.here.data(child) == CHILD
    shown = pair.here.show(child)
    assert (shown["status"], shown["size"]) == ("active", len(CHILD))
    assert shown["os_hash_value"] == hashlib.sha512(CHILD).hexdigest()
