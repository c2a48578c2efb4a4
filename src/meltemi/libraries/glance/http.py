"""HTTP to one Image service: tokens, retries, and answers turned into Meltemi's errors."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp
import stamina

from meltemi.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    ImageError,
    InterruptedTransfer,
    NotALibraryError,
    QuotaError,
    RefusedError,
    SilentError,
    UnreachableError,
    UntrustedError,
    VanishedError,
    is_passing,
)
from meltemi.libraries.glance.answers import Spend, read_bytes, read_json, read_reason
from meltemi.libraries.glance.auth import Endpoint
from meltemi.sockets import ReadingFirst

_log: Final = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often a request that may be repeated is sent before its failure counts."""

_BY_STATUS: Final[Mapping[int, type[ImageError]]] = {
    403: ForbiddenError,
    404: VanishedError,
    409: ConflictError,
    410: VanishedError,
    413: QuotaError,
    507: QuotaError,
}
_ADVICE: Final[Mapping[int, str]] = {
    400: "change it at the source, or leave it behind (--exclude, --dontreplicate)",
    403: "ask for that right, or go without (--visibility, --dontreplicate, --exclude)",
    413: "make room or raise the quota there",
    415: "let that service accept the format, or leave the image out (--exclude)",
    500: "the log of that service says more",
    503: "the log of that service says more",
    507: "make room there",
}
"""What to do about a write that was refused."""

_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONNECT_SECONDS: Final = 10.0
_SLICE: Final = 2**18


class GlanceHttp:
    """Requests to one Image service.

    `silence` is how many seconds the service may be silent before a request is given up.
    """

    def __init__(self, endpoint: Endpoint, name: str, silence: float) -> None:
        self._endpoint = endpoint
        self._name = name
        self._silence = silence
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=min(_CONNECT_SECONDS, silence), sock_read=silence
        )
        # Data goes over connections of its own: a broken kept-alive one would make aiohttp
        # repeat a PUT whose body is already gone.
        self._api, self._data = (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=endpoint.tls,
                    limit=0,
                    force_close=force_close,
                    socket_factory=ReadingFirst.open,
                ),
                timeout=timeout,
                trust_env=True,
                read_bufsize=2**20,
                auto_decompress=not force_close,
            )
            for force_close in (False, True)
        )

    @property
    def name(self) -> str:
        """Give what the user calls the service."""
        return self._name

    @property
    def auth_project(self) -> str | None:
        """Give the project that the token is for; None without an identity service."""
        return self._endpoint.auth.project

    async def close(self) -> None:
        """Close every connection."""
        await self._api.close()
        await self._data.close()

    async def request(
        self,
        method: str,
        path: str,
        about: str,
        *,
        repeatable: bool = True,
        body: object = None,
        media_type: str = "application/json",
        accept: tuple[int, ...] = (200, 201, 202, 204),
    ) -> Any:
        """Send one request and give the JSON of its answer, or None where it has none.

        `about` says in errors what was wanted. A repeatable request is sent again, with jitter,
        where the service fails or cannot be reached.
        """
        data = None if body is None else json.dumps(body).encode()

        async def read(response: aiohttp.ClientResponse) -> Any:
            if response.status not in accept:
                await self._fail(response, about)
            return await self._json(response, about)

        return await self._repeated(
            read,
            method,
            path,
            about=about,
            data=data,
            media_type=media_type,
            repeatable=repeatable,
        )

    async def fetch(
        self,
        method: str,
        path: str,
        about: str,
        *,
        largest: int,
        body: object = None,
        repeatable: bool = True,
        spend: Spend | None = None,
        unless: str | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """Send one request, as `request` does; give the bytes of its answer, and its headers.

        Of each few bytes that come `spend` is told, and more are read once it returns. None come
        where the entity tag is the one that is known. Raise NotALibraryError where there are more
        than `largest`.
        """
        data = None if body is None else json.dumps(body).encode()

        async def read(response: aiohttp.ClientResponse) -> tuple[bytes, Mapping[str, str]]:
            if unless is not None and response.status == 304:  # noqa: PLR2004 - "Not Modified"
                return b"", response.headers
            if response.status != 200:  # noqa: PLR2004 - "OK"
                await self._fail(response, about)
            with self.understanding(about):
                return await read_bytes(response, largest, spend), response.headers

        return await self._repeated(
            read, method, path, about=about, data=data, repeatable=repeatable, unless=unless
        )

    async def put(self, path: str, about: str, data: bytes, media_type: str) -> None:
        """PUT some bytes, once."""
        headers = {"Content-Type": media_type, "Content-Length": str(len(data))}
        # What can be read only once is not sent again by aiohttp itself.
        async with self._send(
            self._api, "PUT", path, about, headers=headers, data=_sliced(data)
        ) as response:
            if response.status not in (200, 201, 204):
                await self._fail(response, about)

    async def _repeated(
        self,
        read: Callable[[aiohttp.ClientResponse], Awaitable[T]],
        method: str,
        path: str,
        *,
        about: str,
        data: bytes | None,
        media_type: str = "application/json",
        repeatable: bool,
        unless: str | None = None,
    ) -> T:
        headers = {} if data is None else {"Content-Type": media_type}
        if unless is not None:
            headers["If-None-Match"] = f'"{unless}"'
        attempts = ATTEMPTS if repeatable else 1
        try:
            async for attempt in stamina.retry_context(
                on=is_passing, attempts=attempts, timeout=None, wait_initial=0.2, wait_max=5.0
            ):
                with attempt:
                    async with self._send(
                        self._api, method, path, about, headers=headers, data=data
                    ) as response:
                        return await read(response)
        except InterruptedTransfer as error:
            error.repeated = repeatable
            raise
        raise AssertionError("a retry context ends with a result or an error")

    @asynccontextmanager
    async def stream(
        self, path: str, about: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a download; its connection is closed with the context."""
        sent = {**headers, "Accept-Encoding": "identity"}  # the hash is that of the plain bytes
        async with self._send(self._data, "GET", path, about, headers=sent) as response:
            if response.status not in (200, 204, 206):
                await self._fail(response, about)
            yield response

    @contextmanager
    def understanding(self, about: str) -> Iterator[None]:
        """Turn what the parsing of an answer raises into NotALibraryError."""
        try:
            yield
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise NotALibraryError(
                f"{self._name}: {about}: the answer is not as the Image API gives it: {error!r}",
                library=self._name,
            ) from error

    async def send(
        self,
        path: str,
        about: str,
        headers: Mapping[str, str],
        data: AsyncIterator[bytes],
        *,
        patient: bool = False,
    ) -> None:
        """PUT a body, once, of the length given in the headers where one is.

        Who is `patient` watches by other means whether there will be an answer.
        """
        waiting = None
        if patient:
            seconds = self._data.timeout.sock_connect
            waiting = aiohttp.ClientTimeout(total=None, sock_connect=seconds)
        async with self._send(
            self._data, "PUT", path, about, headers=headers, data=data, waiting=waiting
        ) as response:
            if response.status == 410:  # noqa: PLR2004 - Glance's word for a change of state
                raise ConflictError(f"{self._name}: {about}: its state changed meanwhile")
            if response.status not in (200, 201, 202, 204):
                await self._fail(response, about)

    @asynccontextmanager
    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        about: str,
        *,
        headers: Mapping[str, str],
        data: bytes | AsyncIterator[bytes] | None = None,
        waiting: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._endpoint.url + path
        renewed = False
        try:
            while True:
                token = await self._endpoint.auth.token(renew=renewed)
                sent = {**headers, "X-Auth-Token": token} if token else headers
                async with session.request(
                    method,
                    url,
                    headers=sent,
                    data=data,
                    allow_redirects=False,
                    timeout=waiting or session.timeout,
                ) as response:
                    _log.debug("%s %s %s: %d", self._name, method, path, response.status)
                    if response.status == 401 and not renewed:  # noqa: PLR2004
                        renewed = True
                        if data is None or isinstance(data, bytes):
                            continue
                        await self._endpoint.auth.token(renew=True)
                        raise InterruptedTransfer(f"{self._name}: {about}: the token has ended")
                    yield response
                    return
        except aiohttp.ClientConnectorCertificateError as error:
            raise UntrustedError(
                f"{self._name}: the certificate of {self._endpoint.url} is not accepted: "
                f"{error.certificate_error}; see --cacert and --insecure",
                library=self._name,
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError(
                f"{self._name}: {self._endpoint.url}: {error.strerror or error.os_error}",
                library=self._name,
            ) from error
        except aiohttp.ServerTimeoutError as error:
            raise SilentError(
                f"{self._name}: {about}: no answer for {self._silence:g} seconds; see --timeout",
                library=self._name,
            ) from error
        except (aiohttp.InvalidURL, UnicodeError) as error:  # a host that no name can have
            raise NotALibraryError(f"{self._name}: not a URL: {url}") from error
        except aiohttp.ClientPayloadError as error:
            raise InterruptedTransfer(
                f"{self._name}: {about}: the connection broke in the middle of the answer"
            ) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise InterruptedTransfer(
                f"{self._name}: {about}: the connection broke: {str(error) or type(error).__name__}"
            ) from error

    async def _json(self, response: aiohttp.ClientResponse, about: str) -> Any:
        if response.status in (202, 204):  # taken in, or done: there is nothing to say
            return None
        try:
            return await read_json(response)
        except ValueError as error:
            raise NotALibraryError(
                f"{self._name}: {about}: the answer is not JSON; is {self._endpoint.url} "
                "an Image service?",
                library=self._name,
            ) from error

    async def _fail(self, response: aiohttp.ClientResponse, about: str) -> None:
        message = f"{self._name}: {about}: {response.status}: {await read_reason(response)}"
        status = response.status
        advice = "" if response.method == "GET" else _ADVICE.get(status, "")
        if status == 401:  # noqa: PLR2004
            raise AuthenticationError(message, library=self._name)
        if status in _TRANSIENT:
            if (pause := response.headers.get("Retry-After", "")).isdigit():
                await asyncio.sleep(min(int(pause), self._silence))
            raise InterruptedTransfer(message, advice=advice)
        raise _BY_STATUS.get(status, RefusedError)(message, advice=advice)


def image_path(image_id: str, *more: object) -> str:
    """Give the path of an image, or of something below it."""
    return "/".join(["/v2/images", *(quote(str(part), safe="") for part in (image_id, *more))])


async def _sliced(data: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), _SLICE):
        yield data[begin : begin + _SLICE]
