"""Another region of the cloud that may exchange images by pieces (docs/exchange.md)."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import stamina

from meltemi.chunks.blob import BlobId, has_name
from meltemi.chunks.exchange.difference import TOGETHER
from meltemi.chunks.exchange.gathering import Span
from meltemi.chunks.exchange.remote import LARGEST_SEGMENT, Holder, Sought, Top, parted, root_name
from meltemi.chunks.exchange.terms import BINDING, Terms, read_terms
from meltemi.chunks.manifest import FormatError, decode_root
from meltemi.errors import InterruptedTransfer, RefusedError
from meltemi.region.imports.source import STALLED_SECONDS, lively, stalled

_ATTEMPTS: Final = 5
_LARGEST_TERMS: Final = 2**16


class Neighbour:
    """One image of a region, asked for with the user's token; nobody is followed elsewhere.

    Errors are RefusedError, where it does not give what is asked for, SilentError, and
    InterruptedTransfer. What gives no data is asked for again where a connection breaks.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, image: str) -> None:
        self._session = session
        self._url = url
        self.image = image

    async def terms(self) -> Terms | None:
        """Ask how it exchanges; None where it does not, as a Glance."""
        try:
            answer, _ = await self._ask("GET", "/v2/info/exchange", _LARGEST_TERMS)
            return read_terms(json.loads(answer)["exchange"])
        except (RefusedError, LookupError, TypeError, ValueError, RecursionError):
            return None

    async def root(self, holder: Holder, unless: BlobId | None = None) -> Top | None:
        """Get the root of the image's manifest, held against its name."""
        path = f"/v2/images/{holder.image_id}/manifest"
        data, headers = await self._ask("GET", path, LARGEST_SEGMENT)
        if (name := root_name(data, headers.get("ETag", ""))) is None:
            raise self._altered(path)
        try:
            top = Top(name, decode_root(data), headers.get(BINDING))
        except FormatError as error:
            raise RefusedError(f"{self._url}{path}: {error}") from error
        return None if name == unless else top

    async def segments(self, holder: Holder, sought: Sequence[Sought]) -> Sequence[bytes]:
        """Ask for segments of the image's manifest, and hold each against its name."""
        path = f"/v2/images/{holder.image_id}/segments"
        body = [list(one.place) for one in sought]
        data, _ = await self._ask("POST", path, TOGETHER * LARGEST_SEGMENT, body)
        try:
            found = parted(data, len(sought))
        except ValueError as error:
            raise RefusedError(f"{self._url}{path}: {error}") from error
        if not all(has_name(came, one.name) for one, came in zip(sought, found, strict=True)):
            raise self._altered(path)
        return found

    @asynccontextmanager
    async def batch(self, spans: Sequence[Span]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Ask for pieces of the image's data, and give what comes, unopened."""
        path, body = f"/v2/images/{self.image}/batch", [list(span) for span in spans]
        async with self._asked("POST", path, body) as answer:
            yield lively(f"{self._url}{path}", answer.content.iter_any())

    async def _ask(
        self, method: str, path: str, most: int, body: Any = None
    ) -> tuple[bytes, Mapping[str, str]]:
        """Give the bytes of an answer, and its headers."""
        async for attempt in stamina.retry_context(
            on=InterruptedTransfer, attempts=_ATTEMPTS, timeout=None
        ):
            with attempt:
                return await self._ask_once(method, path, most, body)
        raise AssertionError("a retry context ends with a result or an error")

    async def _ask_once(
        self, method: str, path: str, most: int, body: Any
    ) -> tuple[bytes, Mapping[str, str]]:
        data = bytearray()
        try:
            async with asyncio.timeout(STALLED_SECONDS), self._asked(method, path, body) as answer:
                async for piece in answer.content.iter_any():
                    data += piece
                    if len(data) > most:
                        raise RefusedError(f"{self._url}{path}: the answer is too large")
                return bytes(data), answer.headers
        except TimeoutError as error:
            raise stalled(f"{self._url}{path}") from error

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, body: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self._url}{path}"
        with _telling(url):
            async with self._session.request(
                method, url, json=body, allow_redirects=False
            ) as answer:
                what = f"{url}: the answer is {answer.status} {answer.reason}"
                if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise InterruptedTransfer(what)
                if answer.status != HTTPStatus.OK:
                    raise RefusedError(what)
                yield answer

    def _altered(self, path: str) -> InterruptedTransfer:
        return InterruptedTransfer(f"{self._url}{path}: the answer was altered on its way")


@contextmanager
def _telling(url: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise stalled(url) from error
    except aiohttp.ClientError as error:
        raise InterruptedTransfer(f"{url}: the connection broke: {error}") from error
