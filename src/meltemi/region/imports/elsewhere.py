"""Images of another region of the same cloud, fetched with the user's own token."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from http import HTTPStatus
from ssl import SSLContext
from typing import Any, Final

import aiohttp

from meltemi.errors import InterruptedTransfer, RefusedError
from meltemi.model.image import Hashes
from meltemi.model.task import CARRIED, Carried
from meltemi.region.context import Context
from meltemi.region.identity.base import Identity
from meltemi.region.imports.neighbour import Neighbour
from meltemi.region.imports.source import (
    STALLED_SECONDS,
    Fetched,
    Pulled,
    lively,
    stalled,
    verified,
)

Pull = Callable[[Neighbour], AbstractAsyncContextManager[Pulled | None]]
"""Brings an image by pieces as long as it is open; gives nothing where it cannot be had so."""

_RESERVED: Final = "os_glance"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=24 * 3600, sock_connect=30, sock_read=60)


class Elsewhere:
    """Fetches from the Image services that Keystone's catalogue names.

    `algorithm` is the hash that is computed of all data anyway. `tls` is how their certificates
    are judged. They are trusted as far as the operator trusts the catalogue; where one of them
    sends elsewhere, nobody follows, since the user's token would go there, too.
    """

    def __init__(self, identity: Identity, algorithm: str, tls: SSLContext | bool) -> None:
        self._identity = identity
        self._algorithm = algorithm
        self._tls = tls

    @asynccontextmanager
    async def fetch(
        self, context: Context, region: str, image: str, interface: str, pull: Pull
    ) -> AsyncIterator[Fetched]:
        """Connect to the Image service of a region, and read an image there.

        It comes as `pull` has it, or, where that gives nothing, as a whole.
        """
        endpoint = await self._identity.endpoint(context, "image", region, interface)
        if endpoint is None:
            raise RefusedError(f"{interface} glance endpoint not found for region {region}")
        url = f"{endpoint.rstrip('/')}/v2/images/{image}"
        async with aiohttp.ClientSession(
            headers={"X-Auth-Token": context.token or ""},
            timeout=_TIMEOUT,
            connector=aiohttp.TCPConnector(ssl=self._tls),
        ) as session:
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(STALLED_SECONDS):
                        answer = await stack.enter_async_context(_get(session, url))
                        length, hashes, carried = _read(image, await _body(url, answer))
                    neighbour = Neighbour(session, endpoint.rstrip("/"), image)
                    pulled = await stack.enter_async_context(pull(neighbour))
                    if pulled is not None:
                        data: AsyncIterator[bytes] = await stack.enter_async_context(
                            aclosing(pulled.data())
                        )
                    else:
                        async with asyncio.timeout(STALLED_SECONDS):
                            answer = await stack.enter_async_context(_get(session, f"{url}/file"))
                        data = lively(url, _pieces(url, answer))
                    data = verified(data, hashes, self._algorithm)
                    yield Fetched(data, length, hashes, carried, pulled)
            except TimeoutError as error:
                raise stalled(url) from error
            except aiohttp.ClientError as error:
                raise InterruptedTransfer(f"{url}: {error}") from error


@asynccontextmanager
async def _get(session: aiohttp.ClientSession, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with session.get(url, allow_redirects=False) as answer:
        if answer.status != HTTPStatus.OK:
            raise RefusedError(f"{url}: the answer is {answer.status} {answer.reason}")
        yield answer


async def _body(url: str, answer: aiohttp.ClientResponse) -> Mapping[str, Any]:
    try:
        body = await answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not {"disk_format", "container_format"} <= body.keys():
        raise RefusedError(f"{url}: what it answers is no image")
    return body


async def _pieces(url: str, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.content.iter_any():
            yield piece
    except (TimeoutError, aiohttp.ClientError) as error:
        what = str(error) or "nothing came in time"
        raise InterruptedTransfer(f"{url}: the connection broke: {what}") from error


def _read(image: str, body: Mapping[str, Any]) -> tuple[int, Hashes, Carried]:
    """Read what another region says of an image."""
    if body.get("status") != "active":
        raise RefusedError(f"Source image status should be active instead of {body.get('status')}")
    try:
        length = int(body["size"])
    except (KeyError, TypeError, ValueError):
        raise RefusedError(
            f"Size attribute of remote image {image} could not be determined."
        ) from None
    properties = {
        name: str(value)
        for name, value in body.items()
        if name.startswith(CARRIED) and not name.startswith(_RESERVED)
    }
    carried = Carried(str(body["disk_format"]), str(body["container_format"]), properties)
    hashes = Hashes(body.get("checksum"), body.get("os_hash_algo"), body.get("os_hash_value"))
    return length, hashes, carried
