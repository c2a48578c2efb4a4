"""Images from the web: fetched from where the operator lets users have them fetched."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from meltemi.errors import InterruptedTransfer, RefusedError
from meltemi.region.imports.filtering import Filter
from meltemi.region.imports.source import STALLED_SECONDS, Fetched, lively, stalled
from meltemi.region.settings import WebDownload

_log: Final = logging.getLogger(__name__)

_HOPS: Final = 10
"""How often a source may send elsewhere."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TIMEOUT: Final = aiohttp.ClientTimeout(total=24 * 3600, sock_connect=30, sock_read=60)
_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity"}


class Web:
    """Fetches what passes the operator's rules; `resolver` is who knows the addresses of names."""

    def __init__(self, rules: WebDownload, resolver: AbstractResolver | None = None) -> None:
        self._filter = Filter(rules)
        self._resolver = resolver

    async def check(self, text: object) -> str:
        """Raise RefusedError where a URL is not to be fetched, as things are; give it back."""
        url = self._filter.read(text)
        host = str(url.host)
        try:
            found = await (self._resolver or aiohttp.ThreadedResolver()).resolve(
                host, url.port or 0
            )
            addresses = [one["host"] for one in found]
        except OSError:
            addresses = []
        if not any(self._filter.admits(host, address) for address in addresses):
            raise RefusedError(f"URI for web-download does not pass filtering: {text}")
        return str(text)

    @asynccontextmanager
    async def fetch(self, text: str) -> AsyncIterator[Fetched]:
        """Connect to a URL, or where it sends; RefusedError where that is not allowed."""
        url = self._filter.read(text)
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(STALLED_SECONDS):
                    response = await self._follow(url, stack)
            except TimeoutError as error:
                raise stalled(text) from error
            if response.status != HTTPStatus.OK:
                raise RefusedError(f"{text}: the answer is {response.status} {response.reason}")
            yield Fetched(lively(text, _pieces(text, response)), response.content_length)

    async def _follow(self, url: URL, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        for left in reversed(range(_HOPS)):
            response = await self._ask(url, stack)
            is_sent_on = response.status in _REDIRECTS and "Location" in response.headers
            if not is_sent_on or not left:
                break
            url = self._next(url, response.headers["Location"])
        return response

    async def _ask(self, url: URL, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        host = str(url.host)

        def connect(target: Any) -> socket.socket:
            """Open the socket for one address; the last moment at which it can be refused."""
            family, kind, protocol, _, address = target
            if not self._filter.admits(host, address[0]):
                raise PermissionError(f"{address[0]} is not allowed")
            return socket.socket(family, kind, protocol)

        connector = aiohttp.TCPConnector(
            resolver=self._resolver or aiohttp.ThreadedResolver(),
            use_dns_cache=False,
            happy_eyeballs_delay=None,
            socket_factory=connect,
        )
        session = aiohttp.ClientSession(
            connector=connector, timeout=_TIMEOUT, auto_decompress=False, trust_env=False
        )
        await stack.enter_async_context(session)
        try:
            asked = session.get(url, allow_redirects=False, headers=_HEADERS)
            return await stack.enter_async_context(asked)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError) as error:
            # Users are not told which of their network's hosts there are.
            _log.info("host %s: not fetched from: %s", host, error)
            raise RefusedError(f"{url}: it cannot be reached, or is not allowed") from None
        except (TimeoutError, aiohttp.ClientError) as error:
            raise _broken(str(url), error) from error

    def _next(self, url: URL, location: str) -> URL:
        try:
            return self._filter.read(str(url.join(URL(location, encoded=True))))
        except (RefusedError, ValueError):
            raise RefusedError(f"Redirect to disallowed URL: {location}") from None


async def _pieces(text: str, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_any():
            yield piece
    except (TimeoutError, aiohttp.ClientError) as error:
        raise _broken(text, error) from error


def _broken(text: str, error: Exception) -> InterruptedTransfer:
    return InterruptedTransfer(f"{text}: the connection broke: {str(error) or 'nothing came'}")
