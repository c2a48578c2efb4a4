"""Files are sent by the kernel, past the process that answers."""

import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from meltemi.region.data.sending import send_file
from tests.support.glance import some_data

DATA = some_data(15, 3 * 2**20 + 7)


async def test_a_file_goes_by_sendfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sent = tmp_path / "file", []
    path.write_bytes(DATA)
    sendfile = os.sendfile

    def watched(*words: Any) -> int:
        sent.append(sendfile(*words))
        return sent[-1]

    monkeypatch.setattr(os, "sendfile", watched)

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(DATA) - 5)})
        await response.prepare(request)
        with path.open("rb") as file:
            await send_file(request, file, 5, len(DATA) - 5)
        return response

    application = web.Application()
    application.router.add_get("/", answer)
    async with (
        TestServer(application) as server,
        aiohttp.ClientSession() as client,
        client.get(server.make_url("/")) as got,
    ):
        assert await got.read() == DATA[5:]
    assert sum(sent) == len(DATA) - 5
