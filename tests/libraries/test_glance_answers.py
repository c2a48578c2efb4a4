"""Answers that no Image service should give: an error each, soon, and in little memory."""

import tracemalloc
from typing import Any

import pytest
from aiohttp import web

from meltemi.errors import (
    AuthenticationError,
    InterruptedTransfer,
    NotALibraryError,
    RefusedError,
)
from meltemi.libraries.base import Changes
from meltemi.libraries.glance import answers
from meltemi.libraries.glance.answers import reason_of
from meltemi.model.image import Image
from tests.libraries.handling import MIB, listed
from tests.libraries.test_glance_http import IMAGE, Handler, opened, saying, serving

DEEP = "[" * 100_000
BOILERPLATE = "The request media type text/x is not supported by this server."


def text(body: str, status: int = 200, **headers: str) -> Handler:
    """Answer everything with a text."""

    async def answer(_: web.Request) -> web.StreamResponse:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return web.Response(text=body, status=status, headers=named)

    return answer


def endless(status: int) -> Handler:
    """Answer with a body that has no end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        while True:
            await response.write(b"x" * MIB)

    return answer


async def test_an_error_that_is_nested_without_end() -> None:
    async with serving(text(DEEP, 400)) as (url, _), opened(url) as library:
        with pytest.raises(RefusedError, match=r"image 1: 400: \[{300}…$"):
            await library.show("1")


async def test_an_answer_that_is_nested_without_end() -> None:
    async with serving(text(DEEP)) as (url, _), opened(url) as library:
        with pytest.raises(NotALibraryError, match="the answer is not JSON") as caught:
            await listed(library)
        assert caught.value.library == "it"


async def test_of_an_endless_error_only_the_beginning_is_read() -> None:
    async with serving(endless(400)) as (url, _), opened(url) as library:
        with pytest.raises(RefusedError, match=r"400: x{300}…$"):
            await library.show("1")


async def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LARGEST", 5 * MIB)
    async with serving(endless(200)) as (url, _), opened(url) as library:
        tracemalloc.start()
        try:
            with pytest.raises(NotALibraryError):
                await library.show("1")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 25 * MIB


@pytest.mark.parametrize("piece", ["<", "<title>", "<title>x", "<a", "&lt;", "400 "])
def test_an_error_page_of_nothing_but_beginnings_is_one_line(piece: str) -> None:
    assert len(reason_of(piece * (answers.LARGEST_ERROR // len(piece)))) <= 301


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<html><title>Gone</title><h1>410 Gone</h1>It was here.</html>", "It was here."),
        ("<head>\n<title>400\nBad Request</title></head><p>No\nname</p>", "No name"),
        ("404 Not Found\n\nNo image found with ID 1\n\n", "No image found with ID 1"),
        ("403 Forbidden", "403 Forbidden"),
        ("999 What is this", "999 What is this"),
        (f"415 Unsupported Media Type\n\n{BOILERPLATE}\n\nImage disk_format", "Image disk_format"),
        ('{"message": "No &amp; no", "code": 400}', "No & no"),
        ('{"error": {"message": "why"}}', "{'error': {'message': 'why'}}"),
        ('{"message": {"message": "deep"}}', "deep"),
        ("[1]", "[1]"),
        ("", ""),
    ],
)
def test_reasons(page: str, reason: str) -> None:
    assert reason_of(page) == reason


@pytest.mark.parametrize("turns", [1, 3])
async def test_a_listing_that_runs_in_a_circle(turns: int) -> None:
    pages = [{"images": [{**IMAGE, "id": str(n)}], "next": "more"} for n in range(turns)]
    count = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal count
        if "os_hidden" in request.query:
            return web.json_response({"images": []})
        count += 1
        return web.json_response(pages[(count - 1) % turns])

    async with serving(answer) as (url, _), opened(url) as library:
        with pytest.raises(NotALibraryError, match="the same page again and again") as caught:
            await listed(library)
    assert caught.value.library == "it"
    assert count == turns + 1


async def read(url: str, offset: int) -> bytes:
    async with opened(url) as library:
        return b"".join([piece async for piece in library.read("1", offset)])


@pytest.mark.parametrize(
    ("status", "content_range", "body"),
    [
        (206, "bytes 4-9/10", "456789"),
        (206, "bytes 4-9/*", "456789"),
        (206, "", "456789"),
        (206, "bytes 1-9/10", "123456789"),
        (206, "bytes 0-9/10", "0123456789"),
        (200, "", "0123456789"),
    ],
)
async def test_a_range_is_cut_to_what_was_asked_for(
    status: int, content_range: str, body: str
) -> None:
    headers = {"Content_Range": content_range} if content_range else {}
    async with serving(text(body, status, **headers)) as (url, _):
        assert await read(url, 4) == b"456789"


@pytest.mark.parametrize("offset", [0, 4])
async def test_a_range_that_begins_too_late_leaves_no_gap(offset: int) -> None:
    late = text("6789", 206, Content_Range="bytes 6-9/10")
    async with serving(late) as (url, _):
        with pytest.raises(InterruptedTransfer, match=f"begins at byte 6 where {offset} was"):
            await read(url, offset)


async def test_a_project_that_only_a_new_image_tells_is_an_error() -> None:
    """Else its replica would be a stranger's for the next run, and copied again."""
    async with serving(saying({**IMAGE, "owner": "p"})) as (url, _), opened(url) as library:
        with pytest.raises(AuthenticationError, match="images to project p, which") as caught:
            await library.create(Image(""))
        assert caught.value.library == "it"
        assert (await library.create(Image("", owner="p"))).owner == "p"


CHANGES: dict[str, Any] = {"visibility": "private", "os_distro": "debian", "name": "x"}


@pytest.mark.parametrize(
    ("status", "requests"),
    [
        ("active", ["PATCH name visibility", "POST reactivate", "PATCH os_distro -old"]),
        ("deactivated", ["POST deactivate", "PATCH name os_distro visibility -old"]),
        (None, ["PATCH name os_distro visibility -old"]),
    ],
)
async def test_what_is_to_be_used_again_is_first_as_it_shall_be(
    status: str | None, requests: list[str]
) -> None:
    """Its properties, a mark of origin among them, tell what has happened, and so come last."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "PATCH":
            patch = await request.json()
            names = [
                ("-" if operation["op"] == "remove" else "") + operation["path"][1:]
                for operation in patch
            ]
            seen.append(" ".join(["PATCH", *sorted(names, key=lambda n: (n[0] == "-", n))]))
        elif request.method == "POST":
            seen.append(f"POST {request.path.rpartition('/')[2]}")
        return web.json_response(IMAGE)

    values = CHANGES if status is None else {**CHANGES, "status": status}
    async with serving(answer) as (url, _), opened(url) as library:
        await library.update("1", Changes(values, frozenset({"old"})))
    assert seen == requests
