"""The daemon's process: what goes on whatever is asked of it."""

import asyncio
import hashlib
import threading
import time
from pathlib import Path

import aiohttp
import pytest
import yaml

from meltemi.daemon.service import Service
from meltemi.daemon.state.records import Cause, Request
from meltemi.daemon.state.state import open_state
from meltemi.daemon.state.views import Views

TOKEN = "a word that nobody knows"
pytestmark = pytest.mark.timeout(120)  # what is held up never happens


async def test_whoever_asks_much_does_not_hold_up_who_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go = threading.Event(), threading.Event()

    async def slow(views: Views, *_: object, **__: object) -> None:
        def read() -> None:
            reached.set()
            go.wait()

        await views._database.run(read)

    monkeypatch.setattr(Views, "runs", slow)
    url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    file = tmp_path / "meltemi.yaml"
    sha256 = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens = {"somebody": {"sha256": sha256, "role": "reader"}}
    settings = {"database": url, "listen": "127.0.0.1:0", "tokens": tokens}
    file.write_text(yaml.safe_dump({"version": 1, "libraries": {}, "daemon": settings}))
    told: asyncio.Queue[str] = asyncio.Queue()
    running = asyncio.create_task(Service(file, told.put_nowait).run())
    ready = (await told.get()).rpartition("; ")[2]
    state = await open_state(url)
    async with aiohttp.ClientSession(ready, headers={"X-Auth-Token": TOKEN}) as one:
        asking = asyncio.create_task(one.get("/v1/runs"))
        await asyncio.to_thread(reached.wait)
        await state.ask(Request(Cause.REQUEST, time.time()))
        while await state.requests():  # noqa: ASYNC110 - nobody tells when it is heard
            await asyncio.sleep(0.01)
        assert not asking.done()
        go.set()
        asking.cancel()
    await state.close()
    running.cancel()
    await asyncio.gather(running, asking, return_exceptions=True)
