"""Hundreds who are slow, at once: they take little memory and no turns."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Region
from tests.support.glance import Place, some_data
from tests.support.waiting import eventually

CLIENTS = 300
DATA = some_data(41, 24 * 2**20)
MOST = 700 * 2**20
"""Far below what one batch of 4 MiB for each would take, above what a loaded machine needs."""


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """Give a region with one worker and without copies of hot images."""
    with Region(tmp_path / "region", settings={"hot_images": 0}) as server:
        yield server


def test_hundreds_of_slow_clients(region: Region) -> None:
    place = Place(region.url)
    image = place.put("image", DATA)
    before = memory(region.pid)
    asyncio.run(crowd(place, image))
    assert peak(region.pid) - before < MOST
    assert place.data(image) == DATA


async def crowd(place: Place, image: str) -> None:
    clients = [await begin(place, image) for _ in range(CLIENTS)]
    # All are being answered, and none reads on: somebody else is served nevertheless.
    for reader, _ in clients:
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    assert await asyncio.to_thread(place.data, image) == DATA
    other = await asyncio.to_thread(place.put, "other", b"data")
    assert await asyncio.to_thread(place.data, other) == b"data"
    last = clients.pop()
    assert await last[0].readexactly(len(DATA)) == DATA
    for _, writer in (*clients, last):
        writer.close()


def test_hundreds_who_hardly_send(region: Region) -> None:
    place = Place(region.url)
    images = [place.put("slow", None) for _ in range(CLIENTS)]
    before = memory(region.pid)
    asyncio.run(sent_slowly(place, images))
    assert peak(region.pid) - before < MOST
    for number, image in enumerate(images):
        assert place.data(image) == own_data(number)


def own_data(number: int) -> bytes:
    """Give what one of them sends: some of it is what all of them send."""
    return DATA[:100_000] + some_data(1000 + number, 100_000)


async def sent_slowly(place: Place, images: list[str]) -> None:
    clients = []
    for number, image in enumerate(images):
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        data = own_data(number)
        writer.write(
            f"PUT /v2/images/{image}/file HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
            "Content-Type: application/octet-stream\r\n\r\n".encode()
            + data[:-1]
        )
        clients.append((reader, writer, data))
    await asyncio.to_thread(eventually, lambda: set(place.statuses().values()) == {"saving"})
    # All are being taken in, and none sends on: somebody else is served nevertheless.
    other = await asyncio.to_thread(place.put, "other", b"data")
    assert await asyncio.to_thread(place.data, other) == b"data"
    for _, writer, data in clients:
        writer.write(data[-1:])
    for reader, writer, _ in clients:
        assert b"204 No Content" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


async def begin(place: Place, image: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(f"GET /v2/images/{image}/file HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return reader, writer


def memory(pid: int) -> int:
    """Give the bytes that a process has in memory."""
    return value(pid, "VmRSS")


def peak(pid: int) -> int:
    """Give the most bytes that a process ever had in memory."""
    return value(pid, "VmHWM")


def value(pid: int, key: str) -> int:
    found = subprocess.run(
        ["grep", f"^{key}:", f"/proc/{pid}/status"], capture_output=True, text=True, check=True
    )
    return int(found.stdout.split()[1]) * 1024
