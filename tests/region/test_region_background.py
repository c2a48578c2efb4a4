"""Work in the background, and sources that hardly give anything."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from meltemi.errors import SilentError
from meltemi.region.background import Background, Queue, fetching
from meltemi.region.imports import source, web
from meltemi.region.imports.source import lively
from meltemi.region.imports.web import Web
from meltemi.region.settings import WebDownload


async def test_each_queue_has_turns_of_its_own() -> None:
    begun: list[str] = []
    may_end = asyncio.Event()
    background = Background()

    async def work(name: str) -> None:
        begun.append(name)
        await may_end.wait()

    for number in range(3):
        background.start(work(f"one {number}"), Queue("one", 2))
    for number in range(3):
        background.start(work(f"two {number}"), Queue("two", 2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == ["one 0", "one 1", "two 0", "two 1"]
    may_end.set()
    assert await background.landed(300)
    assert len(begun) == 6


async def test_a_project_waits_for_its_own_sources_alone() -> None:
    background, begun, never = Background(), [], asyncio.Event()

    async def fetch(project: str | None) -> None:
        begun.append(project)
        await never.wait()

    for project in ("greedy", None, "other"):
        for _ in range(fetching("greedy").at_once + (project == "greedy")):
            background.start(fetch(project), fetching(project))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    counts = {begun.count(project) for project in ("greedy", None, "other")}
    assert counts == {fetching("greedy").at_once}
    await background.close()


async def all_of(data: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in data])


async def trickle() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0.01)
        yield b"x"


async def test_a_source_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "STALLED_SECONDS", 0.1)
    with pytest.raises(SilentError, match="http://there: the connection broke: less than"):
        await all_of(lively("http://there", trickle()))


async def test_a_source_that_moves_goes_on() -> None:
    async def steady() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield bytes(source.ENOUGH)

    assert await all_of(lively("there", steady())) == bytes(5 * source.ENOUGH)


async def test_a_site_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "STALLED_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        rules = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [port]}
        fetch = Web(WebDownload.model_validate(rules)).fetch
        with pytest.raises(SilentError, match="less than 1 MiB"):
            async with fetch(f"http://127.0.0.1:{port}/"):
                pass
