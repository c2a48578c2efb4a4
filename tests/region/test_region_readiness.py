"""`/healthcheck` says that a region lives, `/readyz` whether all that it rests on does."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lab import Keystone, Postgres, Region
from meltemi.catalogue.migrations import upgrade
from tests.support.glance import Place, RefusedError

Found = tuple[int, Mapping[str, str]]


def ready(server: Region) -> Found:
    try:
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        with closing(answer):
            return answer.code, json.load(answer)


def becomes(server: Region, expected: Found) -> bool:
    """Wait until that is what it says: it remembers what it said a moment ago."""
    deadline = time.monotonic() + 300
    while ready(server) != expected:
        assert time.monotonic() < deadline, ready(server)
        time.sleep(0.1)
    return lives(server)


def lives(server: Region) -> bool:
    with urllib.request.urlopen(f"{server.url}/healthcheck", timeout=60) as answer:
        return bool(answer.read() == b"OK")


def test_a_store_that_is_away(tmp_path: Path) -> None:
    with Region(tmp_path / "region") as server:
        store = server.folder / "data" / "store"
        assert ready(server) == (200, {"database": "ok", "store": "ok"})
        store.rename(store.with_name("elsewhere"))
        assert becomes(server, (503, {"database": "ok", "store": "away"}))
        store.with_name("elsewhere").rename(store)
        assert becomes(server, (200, {"database": "ok", "store": "ok"}))
        assert server.log.read_text().count("not ready: the store is away") == 1
        assert "the store is back" in server.log.read_text()


def test_a_database_that_is_away(tmp_path: Path, postgres: Postgres) -> None:
    name = f"region-{uuid4().hex}"
    postgres.create_database(name)
    url = f"{postgres.url}/{name}"
    upgrade(url)
    with Region(tmp_path / "region", settings={"database": url}) as server:
        assert ready(server) == (200, {"database": "ok", "store": "ok"})
        postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        assert becomes(server, (503, {"database": "away", "store": "ok"}))
        postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert becomes(server, (200, {"database": "ok", "store": "ok"}))
        assert Place(server.url).images() == []


@pytest.fixture
def keystone(tmp_path: Path) -> Iterator[Keystone]:
    with Keystone(tmp_path / "keystone") as server:
        yield server


@pytest.mark.services
def test_a_keystone_that_is_away(tmp_path: Path, keystone: Keystone) -> None:
    auth: dict[str, Any] = keystone.login()
    parts = {"database": "ok", "store": "ok"}
    with Region(tmp_path / "region", settings={"keystone": {"auth": auth}}) as server:
        assert ready(server) == (200, {**parts, "keystone": "ok"}), "nobody has a token to ask"
        keystone.stop()
        assert becomes(server, (503, {**parts, "keystone": "away"}))
        keystone.start()
        assert becomes(server, (200, {**parts, "keystone": "ok"}))
        with pytest.raises(RefusedError, match="401"):
            Place(server.url).images()


def test_probes_only_tell(shared_region: Place) -> None:
    for path in ("/healthcheck", "/readyz"):
        with pytest.raises(RefusedError, match="405 Method Not Allowed"):
            shared_region.call("POST", path)
