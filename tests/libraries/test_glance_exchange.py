"""Exchanging over HTTP: what a service may answer, and what is made of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from meltemi.chunks.blob import BlobId
from meltemi.chunks.exchange.batch import LARGEST_FRAME
from meltemi.chunks.exchange.difference import Place
from meltemi.chunks.exchange.gathering import Span
from meltemi.chunks.exchange.remote import Holder, RemoteTree, Sought
from meltemi.chunks.exchange.terms import Terms
from meltemi.chunks.manifest import encode_root
from meltemi.chunks.numbers import put_number
from meltemi.errors import (
    ConflictError,
    ImageError,
    InterruptedTransfer,
    NotALibraryError,
    QuotaError,
    RefusedError,
    SilentError,
    VanishedError,
)
from meltemi.libraries.exchanging import Exchange, Exchanging
from meltemi.libraries.glance import http as glance_http
from meltemi.model.image import Hashes
from tests.chunks.making import Tree, some_entries
from tests.libraries.test_glance_http import Handler, opened, saying, serving

FACTS = {
    "version": 1,
    "cut": "cdc-64k",
    "dedup_scope": "region",
    "hash": "sha512",
    "largest_batch": 100,
    "largest_piece": 10,
    "most_pieces": 5,
}
TREE = Tree(some_entries(3000))
ONE = Holder("one")
HASHES = Hashes("c", "sha512", "h")


async def spend(_: int) -> None:
    pass


async def asked(answer: Handler, ask: Callable[[Exchange], Awaitable[Any]]) -> Any:
    """Ask a service that answers so."""
    async with serving(answer) as (url, _), opened(url) as library:
        assert isinstance(library, Exchanging)
        return await ask(library.exchange)


def bytes_of(body: bytes, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers)

    return answer


def parted(*segments: bytes) -> bytes:
    out = bytearray()
    for segment in segments:
        put_number(out, len(segment))
        out += segment
    return bytes(out)


def sought() -> list[Sought]:
    return [Sought(Place(0, 0), child.segment) for child in TREE.root.top.children]


# What a service says of itself


async def test_terms_are_asked_for_once() -> None:
    async with (
        serving(saying({"exchange": FACTS})) as (url, requests),
        opened(url) as library,
    ):
        assert isinstance(library, Exchanging)
        terms = await library.exchange.terms()
        assert terms == Terms(1, "cdc-64k", "region", "sha512", 100, 10, 5)
        assert await library.exchange.terms() == terms
        assert len(requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        saying({}, status=404),
        saying({}, status=403),
        saying({}, status=405),
        saying({}, status=302),
        saying({}),
        saying([]),
        saying({"exchange": {**FACTS, "largest_batch": -1}}),
        saying({"exchange": {**FACTS, "largest_batch": True}}),
        saying({"exchange": {**FACTS, "version": "1"}}),
        bytes_of(b"<html>"),
    ],
)
async def test_what_is_no_region_of_ours_does_not_exchange(answer: Handler) -> None:
    assert await asked(answer, lambda exchange: exchange.terms()) is None


# Manifests


async def test_a_root_is_held_against_its_name() -> None:
    root = encode_root(TREE.root)
    for etag in (f'"{TREE.root_id.hex()}"', TREE.root_id.hex()):
        found = await asked(bytes_of(root, ETag=etag), lambda exchange: exchange.root(ONE))
        assert found == (TREE.root_id, TREE.root, None, False)
    headers = {"x-meltemi-binding": "a.b.c", "x-meltemi-borrowed": "true"}
    answer = bytes_of(root, ETag=f'"{TREE.root_id.hex()}"', **headers)
    found = await asked(answer, lambda exchange: exchange.root(ONE))
    assert found == (TREE.root_id, TREE.root, "a.b.c", True)


async def test_a_root_that_is_known_is_not_sent() -> None:
    asked_for: list[str] = []

    async def unchanged(request: web.Request) -> web.Response:
        asked_for.append(request.headers.get("If-None-Match", ""))
        return web.Response(status=304)

    assert await asked(unchanged, lambda exchange: exchange.root(ONE, TREE.root_id)) is None
    assert asked_for == [f'"{TREE.root_id.hex()}"']
    with pytest.raises(RefusedError, match="304"):
        await asked(unchanged, lambda exchange: exchange.root(ONE))


@pytest.mark.parametrize("etag", ["", '"x"', f'"{bytes(33).hex()}"', '"' + "01" * 33 + '"'])
async def test_a_root_that_has_another_name_was_altered(etag: str) -> None:
    answer = bytes_of(encode_root(TREE.root), ETag=etag)
    with pytest.raises(InterruptedTransfer, match="altered on its way"):
        await asked(answer, lambda exchange: exchange.root(ONE))


async def test_segments_are_held_against_their_names_and_remembered() -> None:
    wanted = sought()
    right = [TREE.blobs[one.name] for one in wanted]
    async with (
        serving(bytes_of(parted(*right))) as (url, requests),
        opened(url) as library,
    ):
        assert isinstance(library, Exchanging)
        assert list(await library.exchange.segments(ONE, wanted)) == right
        assert list(await library.exchange.segments(Holder("two", 3), wanted[::-1])) == right[::-1]
        assert [request.path for request in requests] == ["/", "/v2/images/one/segments"]


@pytest.mark.parametrize("count", [0, 1])
async def test_segments_that_were_altered_or_are_too_few_are_refused(count: int) -> None:
    wanted = sought()
    wrong = [TREE.blobs[one.name] for one in wanted[:-1]] + [b"x"] * count
    kind = InterruptedTransfer if count else NotALibraryError
    with pytest.raises(kind):
        await asked(bytes_of(parted(*wrong)), lambda exchange: exchange.segments(ONE, wanted))


async def test_a_tree_is_read_over_http() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(
                body=encode_root(TREE.root), headers={"ETag": f'"{TREE.root_id.hex()}"'}
            )
        places = [tuple(place) for place in await request.json()]
        return web.Response(body=parted(*(TREE.blobs[names[place]] for place in places)))

    names: dict[tuple[int, ...], BlobId] = {}
    at = 0
    for child in TREE.root.top.children:
        names[0, at] = child.segment
        at += child.length

    async def read(exchange: Exchange) -> RemoteTree:
        tree = await RemoteTree.open(exchange, ONE)
        found = await tree.segments([Place(*place) for place in names])
        assert [entry for segment in found for entry in segment.entries] == some_entries(3000)
        return tree

    tree = await asked(answer, read)
    assert tree.read == len(encode_root(TREE.root)) + sum(
        len(TREE.blobs[name]) for name in names.values()
    )


# Batches


async def test_no_more_is_read_than_a_batch_may_have() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(LARGEST_FRAME // 2**20 + 2):
            await response.write(bytes(2**20))
        return response

    with pytest.raises(NotALibraryError, match="more than"):
        await asked(answer, lambda exchange: exchange.batch("one", [Span(0, 5)], spend))


async def test_what_comes_of_a_batch_is_told_as_it_comes() -> None:
    told: list[int] = []

    async def hear(count: int) -> None:
        told.append(count)

    body = bytes(3 * 2**20)
    found = await asked(bytes_of(body), lambda exchange: exchange.batch("one", [Span(0, 5)], hear))
    assert found == body
    assert sum(told) == len(body)
    assert len(told) > 1


async def test_a_batch_and_a_part_are_never_asked_for_twice_by_themselves() -> None:
    asks: list[Callable[[Exchange], Awaitable[Any]]] = [
        lambda exchange: exchange.batch("one", [Span(0, 5)], spend),
        lambda exchange: exchange.put_part("one", 3, b"batch"),
    ]
    for ask in asks:
        for answer in (saying({}, status=503), _breaking):
            async with serving(answer) as (url, requests), opened(url) as library:
                assert isinstance(library, Exchanging)
                with pytest.raises(InterruptedTransfer):
                    await ask(library.exchange)
                assert len(requests) == 2


async def _breaking(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    ("status", "kind"), [(409, ConflictError), (400, RefusedError), (413, QuotaError)]
)
async def test_why_a_part_is_refused_is_told(status: int, kind: type[ImageError]) -> None:
    with pytest.raises(kind, match="because"):
        await asked(
            saying({"message": "because"}, status=status),
            lambda exchange: exchange.put_part("one", 3, b"batch"),
        )


async def test_a_part_is_sent_with_its_length_and_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance_http, "_SLICE", 4)
    seen: list[tuple[str, str, Any, bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append((request.path, request.content_type, request.content_length, body))
        return web.Response(status=204)

    await asked(answer, lambda exchange: exchange.put_part("one", 3, b"a batch of 13"))
    assert seen == [
        ("/v2/images/one/parts/3", "application/vnd.meltemi.batch", 13, b"a batch of 13")
    ]


@pytest.mark.parametrize("body", [{}, {"parts": [1]}, {"parts": [{"number": -1, "size": 1}]}, []])
async def test_parts_that_make_no_sense_are_refused(body: Any) -> None:
    with pytest.raises(NotALibraryError):
        await asked(saying(body), lambda exchange: exchange.parts("one"))


async def test_parts_and_sizes_are_read() -> None:
    body = {"parts": [{"number": 3, "size": 5}], "bytes": 7}
    assert await asked(saying(body), lambda exchange: exchange.parts("one")) == {3: 5}
    size = await asked(saying(body), lambda exchange: exchange.batch_size("one", [Span(1, 2)]))
    assert size == 7


# Deltas


async def lines() -> AsyncIterator[bytes]:
    yield b"one\n"
    await asyncio.sleep(0)
    yield b"two\n"


@pytest.mark.parametrize(
    ("hashes", "header"),
    [(HASHES, "sha512:h"), (Hashes("c", "sha256", "h"), None), (Hashes(), None)],
)
async def test_a_delta_is_sent_with_the_hash_that_the_service_computes(
    hashes: Hashes, header: str | None
) -> None:
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"exchange": FACTS})
        headers = request.headers
        seen.extend([headers.get("x-meltemi-hash"), headers["x-openstack-image-size"]])
        seen.extend([request.content_type, await request.read()])
        seen.append(headers.get("x-meltemi-binding"))
        return web.Response(status=204)

    await asked(answer, lambda exchange: exchange.put_together("one", 9, hashes, lines()))
    assert seen == [header, "9", "application/vnd.meltemi.delta", b"one\ntwo\n", None]
    seen.clear()
    await asked(answer, lambda exchange: exchange.put_together("one", 9, hashes, lines(), "a.b.c"))
    assert seen[-1] == "a.b.c"


async def test_what_goes_wrong_with_a_delta_goes_through_and_ends_the_upload() -> None:
    whole: list[bytes] = []

    async def failing() -> AsyncIterator[bytes]:
        yield b"one\n"
        raise VanishedError("it is gone")

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"exchange": FACTS})
        whole.append(await request.read())
        return web.Response(status=204)

    with pytest.raises(VanishedError, match="it is gone"):
        await asked(answer, lambda exchange: exchange.put_together("one", 9, HASHES, failing()))
    assert whole == []


@pytest.mark.parametrize(("status", "patient"), [("saving", True), ("queued", False)])
async def test_an_answer_is_waited_for_as_long_as_the_image_is_being_saved(
    status: str, patient: bool
) -> None:
    """A large image takes longer to be put together than any service may be silent."""
    shown = 0
    done = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        nonlocal shown
        if request.path.endswith("/info/exchange"):
            return web.json_response({"exchange": FACTS})
        if request.method == "GET":
            shown += 1
            if shown == 3:
                done.set()
            return web.json_response({"id": "one", "status": status})
        await request.read()
        await done.wait()
        return web.Response(status=204)

    async def put() -> None:
        async with serving(answer) as (url, _), opened(url, silence=0.3) as library:
            assert isinstance(library, Exchanging)
            try:
                await library.exchange.put_together("one", 9, HASHES, lines())
            finally:
                done.set()

    if patient:
        await put()
        assert shown == 3
    else:
        with pytest.raises(SilentError):
            await put()
        assert shown == 1
