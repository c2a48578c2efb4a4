"""Speaks to the API of a daemon."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import urlencode

import aiohttp

from meltemi.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    MeltemiError,
    NotALibraryError,
    SilentError,
    UnavailableError,
    UnreachableError,
    UntrustedError,
    UsageError,
    VanishedError,
)
from meltemi.libraries.glance.auth import Auth

_SILENCE_SECONDS: Final = 60.0
"""How long the daemon may be silent; where nothing changes, it sends something more often."""

_CONNECT_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 1.0
"""How long to wait before a stream of events that broke off is asked for again."""

_LONGEST_LINE: Final = 2**20
_BY_STATUS: Final[Mapping[int, type[MeltemiError]]] = {
    400: UsageError,
    401: AuthenticationError,
    403: ForbiddenError,
    404: VanishedError,
    409: ConflictError,
}

Query = Mapping[str, str | None]
"""Parameters of a query; those that are None are left out."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the daemon told: a kind and what it says."""

    kind: str
    data: Mapping[str, Any]


class TokenOfOurs:
    """A token that the daemon knows, or none."""

    project: str | None = None
    knows_project = True

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def token(self, *, renew: bool = False) -> str | None:
        """Give the token; there is no newer one."""
        if renew:
            what = "the token does not count there" if self._token else "no token was given"
            raise AuthenticationError(
                f"{what}: MELTEMI_DAEMON_TOKEN or --token-file has one, or OS_CLOUD an account"
            )
        return self._token


class Client:
    """Requests to one daemon; to be entered before use.

    Every method raises UnreachableError where the daemon is away, or what its answer says:
    UsageError, AuthenticationError, ForbiddenError, VanishedError, ConflictError.
    """

    def __init__(self, url: str, auth: Auth, tls: ssl.SSLContext | bool) -> None:
        self._url = url.rstrip("/")
        self._auth = auth
        self._tls = tls
        self._has_answered = False

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS
        )
        self._http = aiohttp.ClientSession(
            timeout=timeout, trust_env=True, read_bufsize=_LONGEST_LINE
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def get(self, path: str, query: Query | None = None) -> Any:
        """Read a document."""
        return await self._read("GET", _with(path, query))

    async def send(self, method: str, path: str, body: Query | None = None) -> Any:
        """Have something done; give what is answered, None where that is nothing."""
        given = {name: value for name, value in (body or {}).items() if value is not None}
        return await self._read(method, path, json=given)

    async def pages(
        self, path: str, kind: str, query: Query, most: int | None = None
    ) -> list[dict[str, Any]]:
        """Read documents of a kind from all pages, or so many at most."""
        found: list[dict[str, Any]] = []
        following: str | None = _with(path, query)
        while following is not None and (most is None or len(found) < most):
            page = await self._read("GET", following)
            found += page[kind]
            following = page["next"]
        return found[:most]

    async def events(self, query: Query) -> AsyncGenerator[Event]:
        """Give events as they come, for ever.

        Where the stream breaks off, that is an event `away`, and `back` once the daemon answers
        again; it goes on behind the last one. Raise UnreachableError where it has never answered.
        """
        last: list[str] = []
        is_away = False
        while True:
            goes_on = bool(last)
            try:
                async for event in self._stream(_with("/v1/events", query), last):
                    is_away = False
                    yield Event("back", {}) if goes_on and event.kind == "begin" else event
            except UnreachableError as error:
                if not self._has_answered:
                    raise
                if not is_away:
                    yield Event("away", {"reason": str(error)})
                is_away = True
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _stream(self, path: str, last: list[str]) -> AsyncIterator[Event]:
        headers = {"Last-Event-ID": last[0]} if last else {}
        async with self._asked("GET", path, headers) as response:
            fields: dict[str, str] = {}
            async for line in response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "event" in fields:
                    last[:] = [fields["id"]] if "id" in fields else last
                    yield Event(fields["event"], json.loads(fields["data"]))
                    fields = {}

    async def _read(self, method: str, path: str, **body: Any) -> Any:
        async with self._asked(method, path, {}, **body) as response:
            text = await response.read()
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise self._no_daemon() from None

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, headers: Mapping[str, str], **body: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, and once again with a new token where the daemon refuses the one at hand."""
        try:
            for renew in (False, True):
                token = await self._auth.token(renew=renew)
                sent = {**headers, **({"X-Auth-Token": token} if token else {})}
                async with self._http.request(
                    method, self._url + path, headers=sent, ssl=self._tls, **body
                ) as response:
                    if response.status == HTTPStatus.UNAUTHORIZED and not renew:
                        continue
                    if response.status >= HTTPStatus.BAD_REQUEST:
                        raise await self._error(response)
                    self._has_answered = True
                    yield response
                    return
        except aiohttp.ClientConnectorCertificateError as error:
            raise UntrustedError(
                f"{self._url}: its certificate is not accepted: {error.certificate_error}; "
                "see --cacert"
            ) from error
        except TimeoutError as error:
            raise SilentError(f"{self._url}: the daemon does not answer") from error
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError(f"{self._url}: no daemon answers: {error.strerror}") from error
        except aiohttp.ClientPayloadError as error:
            raise UnreachableError(f"{self._url}: the daemon went away") from error
        except aiohttp.ClientError as error:
            raise UnreachableError(f"{self._url}: the daemon went away: {error}") from error

    async def _error(self, response: aiohttp.ClientResponse) -> MeltemiError:
        try:
            message = str((await response.json())["error"]["message"])
        except (aiohttp.ClientError, ValueError, KeyError, TypeError):
            return self._no_daemon()
        if kind := _BY_STATUS.get(response.status):
            return kind(message)
        return UnavailableError(f"{self._url}: {response.status}: {message}", told=message)

    def _no_daemon(self) -> MeltemiError:
        return NotALibraryError(f"{self._url}: something answers, but it is no daemon of Meltemi")


def _with(path: str, query: Query | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
