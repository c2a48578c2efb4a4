"""What a service may answer, as seen by the client: a small server plays Glance and Keystone."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from lab.process import free_port
from meltemi.errors import AuthenticationError, NotALibraryError
from meltemi.libraries.base import Changes, Library
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress
from meltemi.model.image import Image
from meltemi.model.wire import image_from_wire

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

IMAGE: Final = {"id": "1", "name": "one", "status": "active", "visibility": "private"}
VERSIONS: Final = {"versions": [{"id": "v2.17", "status": "CURRENT"}]}
IDENTITY: Final = "/v3/auth/tokens"


@asynccontextmanager
async def serving(
    answer: Handler, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Serve, and give the URL and the requests so far; `/` answers as an Image service does."""
    requests: list[web.Request] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        return web.json_response(VERSIONS) if request.path == "/" else await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(app, scheme="https" if tls else "http")
    await server.start_server(ssl=tls)
    try:
        yield str(server.make_url("")).rstrip("/"), requests
    finally:
        await server.close()


@asynccontextmanager
async def opened(url: str, token: str | None = None, silence: float = 30) -> AsyncIterator[Library]:
    """Open the library at a URL, trusting any certificate."""
    address = LibraryAddress(url=url, insecure=url.startswith("https:"))
    library = await open_library(address, name="it", token=token, silence=silence)
    try:
        yield library
    finally:
        await library.close()


def saying(body: Any, status: int = 200, **headers: str) -> Handler:
    """Answer everything alike."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(
            body, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return answer


async def test_data_is_asked_for_as_it_is() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"data")

    async with serving(answer) as (url, requests), opened(url) as library:
        assert b"".join([piece async for piece in library.read("1")]) == b"data"
    assert requests[-1].headers["Accept-Encoding"] == "identity"


CALLS: Final[dict[str, Callable[[Library, Image], Awaitable[object]]]] = {
    "show": lambda library, _: library.show("1"),
    "create": lambda library, image: library.create(image),
    "update": lambda library, _: library.update("1", Changes({"name": "x"})),
    "list_members": lambda library, _: library.list_members("1"),
    "list_images": lambda library, _: anext(library.list_images()),
}


@pytest.mark.parametrize(
    "body",
    [
        None,
        5,
        [],
        {},
        {**IMAGE, "status": None},
        {**IMAGE, "size": "many"},
        {**IMAGE, "size": float("inf")},
        {"images": [5], "members": [5]},
        {"images": 5, "members": 5},
    ],
    ids=repr,
)
@pytest.mark.parametrize("call", CALLS)
async def test_an_answer_that_is_no_image_names_the_library_and_the_question(
    call: str, body: object
) -> None:
    async with serving(saying(body)) as (url, _), opened(url) as library:
        with pytest.raises(NotALibraryError, match=r"^it: .*(image|images).*: the answer is not"):
            await CALLS[call](library, image_from_wire(IMAGE))


async def test_a_service_without_authentication_ignores_a_token() -> None:
    async with serving(saying({"images": []})) as (url, _), opened(url, "token") as library:
        assert library.project is None
        assert [page async for page in library.list_images()] == []


def guarded(keystone: str, answer: Handler) -> Handler:
    """Play a Glance that names a Keystone, and that Keystone, which answers as told."""

    async def both(request: web.Request) -> web.StreamResponse:
        if request.path == IDENTITY:
            return await answer(request)
        if "X-Auth-Token" in request.headers:
            return web.json_response({"images": []})
        uri = keystone or str(request.url.origin())
        return web.Response(status=401, headers={"WWW-Authenticate": f'Keystone uri="{uri}"'})

    return both


@pytest.mark.parametrize(
    ("token", "project"), [({"project": {"id": "p"}}, "p"), ({"user": {"id": "u"}}, None)]
)
async def test_keystone_tells_the_project_of_a_token(
    token: dict[str, Any], project: str | None
) -> None:
    glance = guarded("", saying({"token": token}))
    async with serving(glance) as (url, _), opened(url, "secret") as library:
        assert library.project == project


async def refused(url: str, silence: float = 30) -> pytest.ExceptionInfo[AuthenticationError]:
    """See that a token is refused because nobody tells its project."""
    with pytest.raises(AuthenticationError, match=r"name an entry of clouds\.yaml") as caught:
        async with opened(url, "secret", silence=silence):
            pass
    return caught


async def hang(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


@pytest.mark.parametrize(
    ("glance", "reason"),
    [
        (saying({}, 401), "does not name its identity service"),
        (saying({}, 403), "does not name its identity service"),
        (guarded(f"http://127.0.0.1:{free_port()}", hang), "onnect"),
        (guarded("http://a..b", hang), "label"),
        (guarded("", saying({}, 503)), "answers 503"),
        (guarded("", saying({}, 302, Location="/elsewhere")), "answers 302"),
        (guarded("", saying([])), "does not answer as Keystone does"),
        (guarded("", saying({"token": {"project": 5}})), "does not answer as Keystone does"),
    ],
    ids=[
        *("unnamed", "forbidden", "dead", "no host", "failing", "moved", "no Keystone"),
        "no project",
    ],
)
async def test_a_token_whose_project_stays_unknown_is_refused(glance: Handler, reason: str) -> None:
    async with serving(glance) as (url, requests):
        caught = await refused(url)
    assert reason in str(caught.value)
    assert caught.value.library == "it"
    assert "secret" not in str(caught.value)
    assert not [request for request in requests if request.path == "/elsewhere"]


async def test_a_silent_keystone_does_not_tell_the_project() -> None:
    async with serving(guarded("", hang)) as (url, _):
        caught = await refused(url, silence=0.5)
    assert "no answer for 0.5 seconds" in str(caught.value)
    assert caught.value.library == "it"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 404])
async def test_a_token_that_keystone_does_not_know(status: int) -> None:
    async with serving(guarded("", saying({}, status))) as (url, _):
        with pytest.raises(AuthenticationError, match="expired or not valid"):
            async with opened(url, "secret"):
                pass


async def test_a_token_of_an_encrypted_service_is_not_sent_in_the_clear() -> None:
    known = saying({"token": {"project": {"id": "p"}}})
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serving(known) as (identity, asked):
        async with serving(guarded(identity, known), context) as (url, _):
            with pytest.raises(AuthenticationError, match="not encrypted"):
                async with opened(url, "secret"):
                    pass
        assert asked == []
