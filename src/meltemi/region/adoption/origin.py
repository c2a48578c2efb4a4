"""The Glance that is adopted: what it has, seen by an administrator, and what it is asked."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from ssl import SSLContext
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from meltemi.errors import (
    AuthenticationError,
    ForbiddenError,
    ImageError,
    InterruptedTransfer,
    NotALibraryError,
    UnavailableError,
    VanishedError,
)
from meltemi.model.image import Image, Member
from meltemi.model.wire import image_from_wire, members_from_wire
from meltemi.region.identity.account import Account
from meltemi.sockets import ReadingFirst

PAGE: Final = 250
"""Images that are asked for at once."""

AWAY: Final = (
    "The Image service that this region adopts is away: what is not here yet cannot be had, and "
    "nothing can be changed. Please try again later."
)
"""What users are told."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_PATIENT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=600)
"""For requests of users: a Glance may be busy with data long after it has come."""

_LARGEST_ANSWER: Final = 32 * 2**20
"""Bytes of an answer that is passed on; no data of images is."""

_ABSENT: Final = frozenset({502, 503, 504})
"""What proxies say where the service behind them is away."""

_BY_STATUS: Final[Mapping[int, type[ImageError]]] = {
    403: ForbiddenError,
    404: VanishedError,
    410: VanishedError,
}


@dataclass(frozen=True, slots=True)
class Passed:
    """What the Glance answered to a request that was passed on."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Origin:
    """One Glance.

    It is read with an `account` that has the role admin, since others would not see all images;
    without one, it knows nobody. Whatever is raised is a MeltemiError: UnavailableError where it
    is away, VanishedError where an image is not there.
    """

    def __init__(self, endpoint: str, account: Account | None, tls: SSLContext | bool) -> None:
        self.endpoint = endpoint
        self._url = endpoint.rstrip("/").removesuffix("/v2")
        self._account = account
        self._tls = tls
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def pages(self) -> AsyncIterator[list[Image]]:
        """Give all images there are, each once, in pages."""
        seen: set[str] = set()
        for hidden in ("false", "true"):
            query = {"limit": PAGE, "sort_key": "id", "sort_dir": "asc", "visibility": "all"}
            more = True
            while more:
                path = f"/v2/images?{urlencode({**query, 'os_hidden': hidden})}"
                body = await self._json(path)
                with self._understanding(path):
                    page = [_image(one) for one in body["images"]]
                    more = bool(page and body.get("next"))
                if page:
                    query["marker"] = page[-1].id
                # One that is hidden or shown meanwhile may stand in both listings.
                fresh = [image for image in page if image.id not in seen]
                seen.update(image.id for image in fresh)
                if fresh:
                    yield fresh
                elif page:
                    more = False

    async def show(self, image: str) -> Image:
        """Give one image."""
        path = _path(image)
        body = await self._json(path)
        with self._understanding(path):
            return _image(body)

    async def members(self, image: Image) -> tuple[Member, ...]:
        """Give whom an image is offered to, by project; only shared ones are."""
        if image.visibility != "shared":
            return ()
        path = _path(image.id, "members")
        body = await self._json(path)
        with self._understanding(path):
            return tuple(map(_dated, members_from_wire(body["members"])))

    async def read(self, image: str, offset: int) -> AsyncGenerator[bytes]:
        """Give an image's data from a byte on; close it when done."""
        path = _path(image, "file")
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        wanted = HTTPStatus.PARTIAL_CONTENT if offset else HTTPStatus.OK
        async with self._asked(path, headers, keep=False) as answer:
            if answer.status == HTTPStatus.NO_CONTENT:
                raise VanishedError(f"image {image}: the Glance has no data of it")
            if answer.status != wanted:
                raise InterruptedTransfer(f"image {image}: the Glance answers {answer.status}")
            async for piece in answer.content.iter_any():
                yield piece

    async def check(self) -> None:
        """Raise a MeltemiError where it does not answer, or does not show everything."""
        await self._json("/v2/images?limit=1")

    async def pass_on(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | AsyncIterator[bytes] | None,
    ) -> Passed:
        """Send a user's request as it is, once, and give the answer."""
        with self._reaching(path):
            asked = self._session(keep=False).request(
                method,
                URL(self._url + path, encoded=True),
                headers=headers,
                data=data,
                allow_redirects=False,
                timeout=_PATIENT,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
            async with asked as answer:
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece
                    if len(body) > _LARGEST_ANSWER:
                        raise UnavailableError(
                            f"{self._url}{path}: its answer is too large to be passed on",
                            told="The answer is too large to be passed on.",
                        )
                return Passed(answer.status, answer.headers, bytes(body))

    async def close(self) -> None:
        """End all connections."""
        for session in self._sessions.values():
            await session.close()
        if self._account:
            await self._account.close()

    async def _json(self, path: str) -> Any:
        async with self._asked(path, {}, keep=True) as answer:
            text = await answer.read()
        with self._understanding(path):
            return json.loads(text)

    @asynccontextmanager
    async def _asked(
        self, path: str, headers: Mapping[str, str], *, keep: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        refused: str | None = None
        while True:
            token = await self._token(refused)
            sent = {**headers, "X-Auth-Token": token} if token else headers
            with self._reaching(path):
                async with self._session(keep=keep).get(
                    URL(self._url + path, encoded=True), headers=sent, allow_redirects=False
                ) as answer:
                    if answer.status != HTTPStatus.UNAUTHORIZED or refused is not None:
                        self._must_be_good(path, answer)
                        yield answer
                        return
            if token is None:
                raise AuthenticationError(f"{self._url} wants tokens, and this region has none")
            refused = token

    async def _token(self, refused: str | None) -> str | None:
        if self._account is None:
            return None
        return await self._account.admin_token(f"see all images of {self._url}", refused=refused)

    def _must_be_good(self, path: str, answer: aiohttp.ClientResponse) -> None:
        told = f"{self._url}{path.partition('?')[0]}: the answer is {answer.status}"
        if answer.status in _ABSENT:
            raise UnavailableError(told, told=AWAY)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise AuthenticationError(told)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise InterruptedTransfer(told)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _BY_STATUS.get(answer.status, ImageError)(told)

    def _session(self, *, keep: bool) -> aiohttp.ClientSession:
        """Give a session; data and changes go over connections of their own.

        On one that was kept and is broken, aiohttp would repeat a request whose body is gone.
        """
        if keep not in self._sessions:
            self._sessions[keep] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._tls,
                    limit=0,
                    force_close=not keep,
                    socket_factory=ReadingFirst.open,
                ),
                timeout=_TIMEOUT,
                read_bufsize=2**20,
                auto_decompress=keep,
            )
        return self._sessions[keep]

    @contextmanager
    def _reaching(self, path: str) -> Iterator[None]:
        where = f"{self._url}{path.partition('?')[0]}"
        try:
            yield
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError, TimeoutError) as error:
            raise UnavailableError(f"{where}: {str(error) or 'no answer'}", told=AWAY) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            what = str(error) or type(error).__name__
            raise InterruptedTransfer(f"{where}: the connection broke: {what}") from error

    @contextmanager
    def _understanding(self, path: str) -> Iterator[None]:
        try:
            yield
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise NotALibraryError(
                f"{self._url}{path.partition('?')[0]}: the answer is not as the Image API gives "
                f"it: {error!r}"
            ) from error


def _path(image: str, *more: str) -> str:
    return "/".join(["/v2/images", *(quote(part, safe="") for part in (image, *more))])


def _image(body: Mapping[str, Any]) -> Image:
    image = image_from_wire(body)
    return replace(image, created_at=_time(image.created_at), updated_at=_time(image.updated_at))


def _dated(member: Member) -> Member:
    return replace(member, created_at=_time(member.created_at), updated_at=_time(member.updated_at))


def _time(text: str | None) -> str | None:
    """Give a time as the catalogue keeps it."""
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
