"""Imports that an Image service is asked for, where it does not behave."""

import json

import pytest

from meltemi.errors import BusyError, NotALibraryError
from meltemi.libraries.glance import pulling
from meltemi.libraries.glance.auth import Endpoint, FixedToken
from meltemi.libraries.glance.http import GlanceHttp
from meltemi.libraries.glance.pulling import GlancePulls
from meltemi.libraries.pulling import Way
from tests.support.proxy import answering

IMAGE = "2c6dd7ed-e80e-42ee-bfac-476a8288020d"
AT_WORK = {"tasks": [{"id": "one", "status": "processing", "message": ""}]}


async def pull(url: str) -> None:
    http = GlanceHttp(Endpoint(url, FixedToken("token"), tls=True), "crete", silence=60)
    try:
        pulls = GlancePulls(http, {})
        await pulls.pull(IMAGE, Way("Athens", "public"), IMAGE, [], lambda _: None)
    finally:
        await http.close()


async def test_an_import_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(pulling, "_LONGEST_SECONDS", 0.1)
    told = "crete: pulling image .* has not ended in a day"
    with answering(json.dumps(AT_WORK)) as url, pytest.raises(BusyError, match=told):
        await pull(url)


@pytest.mark.parametrize("body", ["{}", '{"tasks": [1]}', '{"tasks": [{"id": "one"}]}', "[]"])
async def test_tasks_that_are_none(body: str) -> None:
    with answering(body) as url, pytest.raises(NotALibraryError):
        await pull(url)
