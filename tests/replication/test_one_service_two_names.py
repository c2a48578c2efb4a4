"""One service that is reached in two ways is noticed as one, and two services are not."""

import socket
from typing import Any

import pytest

from meltemi.errors import UsageError
from meltemi.replication.run import is_same_place
from tests.replication.running import plan
from tests.support.memory import MemoryLibrary

NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "glance.athens": ["10.0.0.1", "10.0.0.2"],
    "glance.crete": ["10.0.0.1"],
    "glance.samos": ["10.0.0.3"],
}


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        numeric = ":" in host or host.replace(".", "").isdigit()
        if not numeric and host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        addresses = [host] if numeric else NAMES[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, 0)) for found in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://glance.athens:9292", "http://glance.athens:9292"),
        ("http://glance.athens:9292", "http://10.0.0.2:9292"),
        ("http://localhost:9292", "http://127.0.0.1:9292"),
        ("http://localhost:9292", "http://[::1]:9292"),
        ("https://glance.athens/image", "https://10.0.0.1/image"),
        ("https://glance.athens/image", "https://10.0.0.1:443/image"),
        ("http://glance.athens", "http://10.0.0.1:80"),
        ("https://glance.athens", "https://Glance.Athens:443"),
        ("http://glance.athens", "https://glance.athens"),
    ],
)
async def test_two_ways_to_one_service(one: str, other: str) -> None:
    assert await is_same_place(one, other)
    assert await is_same_place(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://10.0.0.1:9292", "http://10.0.0.1:9293"),
        ("http://10.0.0.1:9292", "http://10.0.0.3:9292"),
        ("http://10.0.0.1/athens", "http://10.0.0.1/crete"),
        ("http://glance.samos:9292", "http://10.0.0.1:9292"),
        # Two names of one address may be two services behind one proxy.
        ("https://glance.athens/image", "https://glance.crete/image"),
        ("http://nowhere.invalid:9292", "http://10.0.0.1:9292"),
        ("http://a..b:9292", "http://10.0.0.1:9292"),
        ("file:///srv/image", "http://10.0.0.1/srv/image"),
        ("file:///srv/image", "file:///srv/other"),
        ("file:///srv/image#1", "file:///srv/image#2"),
    ],
)
async def test_two_services(one: str, other: str) -> None:
    assert not await is_same_place(one, other)
    assert not await is_same_place(other, one)


async def test_a_library_is_not_copied_to_itself_under_its_address() -> None:
    """As `meltemi livecopy prod 10.0.0.1:9292`, where that is what the catalogue calls by name."""
    cloud, address = MemoryLibrary("prod"), MemoryLibrary("10.0.0.1:9292")
    cloud.identity, address.identity = "http://glance.athens:9292", "http://10.0.0.1:9292"
    cloud.put(b"golden")
    with pytest.raises(UsageError, match="are the same library"):
        await plan(cloud, address)
    assert cloud.requests == address.requests == []


async def test_two_targets_are_not_one_library() -> None:
    """As `meltemi livecopy prod 127.0.0.1:9292 localhost:9292`."""
    source, one, other = MemoryLibrary("prod"), MemoryLibrary("one"), MemoryLibrary("other")
    one.identity, other.identity = "http://127.0.0.1:9292", "http://localhost:9292"
    source.put(b"golden")
    with pytest.raises(UsageError, match="one and other are the same library"):
        await plan(source, one, other)
    assert one.requests == other.requests == []
