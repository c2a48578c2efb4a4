"""How long is waited before a request is sent again: longer every time, and never in step."""

import asyncio
from collections import defaultdict

import pytest
import stamina.instrumentation
from aiohttp import web

from meltemi.errors import InterruptedTransfer
from meltemi.libraries.glance.http import ATTEMPTS
from tests.libraries.test_glance_http import opened, saying, serving

AT_ONCE = 12


async def test_pauses_grow_and_differ() -> None:
    """Who lost one server at the same moment does not come back to it at the same moment."""
    waits: defaultdict[int, list[float]] = defaultdict(list)

    def note(details: stamina.instrumentation.RetryDetails) -> None:
        waits[details.retry_num].append(details.wait_for)

    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([note])
    try:
        async with serving(saying({}, 503)) as (url, requests), opened(url) as library:
            asked = [library.show("1") for _ in range(AT_ONCE)]
            failures = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        stamina.instrumentation.set_on_retry_hooks(before)
    assert {type(failure) for failure in failures} == {InterruptedTransfer}
    assert len([request for request in requests if request.path != "/"]) == AT_ONCE * ATTEMPTS
    assert sorted(waits) == list(range(1, ATTEMPTS))
    for number, pauses in waits.items():
        assert len(set(pauses)) == AT_ONCE, "some wait equally long"
        assert min(pauses) >= 0.2 * 2 ** (number - 1)
        assert max(pauses) <= 5.0


@pytest.mark.parametrize("pause", ["0", "1"])
async def test_a_server_may_say_how_long(pause: str) -> None:
    loop = asyncio.get_running_loop()
    came: list[float] = []

    async def answer(_: web.Request) -> web.StreamResponse:
        came.append(loop.time())
        if len(came) == 1:
            return web.Response(status=429, headers={"Retry-After": pause})
        return web.json_response({"images": []})

    async with serving(answer) as (url, _), opened(url) as library:
        assert [page async for page in library.list_images()] == []
    assert came[-1] - came[0] >= int(pause)
