"""Another region of the same cloud, which data is borrowed from: what it is asked."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from ssl import SSLContext
from typing import Final
from urllib.parse import quote

import aiohttp

from meltemi.chunks.blob import ROOT, BlobId, has_name, parse_id
from meltemi.chunks.cut import Cut
from meltemi.chunks.exchange.batch import LARGEST_FRAME
from meltemi.chunks.exchange.difference import TOGETHER, Place
from meltemi.chunks.exchange.terms import BORROWED
from meltemi.chunks.manifest import MOST_ENTRIES
from meltemi.chunks.numbers import take_number
from meltemi.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    ImageError,
    InterruptedTransfer,
    UnavailableError,
    UsageError,
    VanishedError,
)
from meltemi.region.identity.account import Account
from meltemi.sockets import ReadingFirst

AWAY: Final = "The region that has a part of this image's data is away. Please try again later."
"""What users are told."""

HELD_FOR: Final = "meltemi_held_for"
"""The property of a hold that names the image which it is for."""

_VERSION: Final = 1
_SCOPE: Final = "region"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_LARGEST_SEGMENT: Final = 128 + MOST_ENTRIES * (2 * 10 + 33)
_LARGEST_JSON: Final = 2**20
_PATCH: Final = "application/openstack-images-v2.1-json-patch"
_BY_STATUS: Final[Mapping[int, type[ImageError]]] = {
    403: ForbiddenError,
    404: VanishedError,
    409: ConflictError,
}


class Peer:
    """One region.

    It is asked with an `account` that has the role admin there; without one, it has to know
    nobody. Whatever is raised is a MeltemiError: UnavailableError where it is away.
    """

    def __init__(
        self, name: str, endpoint: str, account: Account | None, tls: SSLContext | bool
    ) -> None:
        self.name = name
        self._url = endpoint.rstrip("/").removesuffix("/v2")
        self._account = account
        self._tls = tls
        self._open: aiohttp.ClientSession | None = None

    async def lends(self, image: str, token: str | None) -> bool:
        """Say whether it has all data of an image, may lend it, and gives it to a user's token."""
        try:
            facts = json.loads(await self._asked("GET", "/v2/info/exchange", token=token or ""))
            alike = facts["exchange"]
            wanted = {"version": _VERSION, "cut": Cut.CONTENT.label, "dedup_scope": _SCOPE}
            if any(alike[name] != value for name, value in wanted.items()):
                return False
            async with self._answer("GET", _path(image, "manifest"), token=token or "") as answer:
                return BORROWED not in answer.headers
        except (AuthenticationError, ConflictError, ForbiddenError, VanishedError):
            return False
        except (KeyError, TypeError, ValueError) as error:
            raise self._away(f"what it says of its exchange: {error!r}") from error

    async def hold(self, hold: str, image: str, child: str) -> None:
        """Make a clone of an image, under an id, or do nothing where that was done.

        Raise VanishedError where the image is gone.
        """
        with suppress(VanishedError):
            await self._asked("GET", _path(hold))
            return
        body = {
            "id": hold,
            "name": f"held for {child}",
            "visibility": "private",
            "protected": True,
            "os_hidden": True,
            HELD_FOR: child,
        }
        await self._asked("POST", _path(image, "actions", "clone"), body=body)

    async def let_go(self, hold: str) -> None:
        """Delete a clone, or do nothing where that was done."""
        patch = [{"op": "replace", "path": "/protected", "value": False}]
        try:
            await self._asked("PATCH", _path(hold), body=patch, media_type=_PATCH)
            await self._asked("DELETE", _path(hold))
        except VanishedError:
            return

    async def root(self, image: str) -> bytes:
        """Give the root of an image's manifest; InterruptedTransfer where it was altered."""
        async with self._answer("GET", _path(image, "manifest")) as answer:
            data = await self._bytes(answer, _LARGEST_SEGMENT)
            told = answer.headers.get("ETag", "").removeprefix("W/").strip('"')
        try:
            name = parse_id(told)
        except UsageError:
            name = BlobId(b"")
        if not name or name[0] != ROOT or not has_name(data, name):
            raise InterruptedTransfer(f"{self.name}: the manifest of {image} was altered")
        return data

    async def segments(self, image: str, places: Sequence[Place]) -> Sequence[bytes]:
        """Give segments of an image's manifest; nothing is held against their names yet."""
        most = TOGETHER * _LARGEST_SEGMENT
        path = _path(image, "segments")
        data = await self._asked("POST", path, body=[list(one) for one in places], most=most)
        found, at = [], 0
        try:
            for _ in places:
                length, at = take_number(data, at)
                found.append(data[at : at + length])
                at += length
        except ValueError as error:
            raise InterruptedTransfer(f"{self.name}: segments of {image}: {error}") from error
        return found

    async def batch(self, image: str, ranges: Sequence[tuple[int, int]]) -> bytes:
        """Give a batch of pieces of an image's data, each told by its offset and its length."""
        body = [list(one) for one in ranges]
        return await self._asked("POST", _path(image, "batch"), body=body, most=LARGEST_FRAME)

    async def close(self) -> None:
        """End all connections."""
        if self._open is not None:
            await self._open.close()
        if self._account:
            await self._account.close()

    async def _asked(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        media_type: str = "application/json",
        token: str | None = None,
        most: int = _LARGEST_JSON,
    ) -> bytes:
        asking = self._answer(method, path, body=body, media_type=media_type, token=token)
        async with asking as answer:
            return await self._bytes(answer, most)

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        media_type: str = "application/json",
        token: str | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask with somebody's token, or in the region's own name; give an answer that is good."""
        refused: str | None = None
        while True:
            used = await self._token(refused) if token is None else token
            headers = {"X-Auth-Token": used} if used else {}
            data = None
            if body is not None:
                data, headers["Content-Type"] = json.dumps(body).encode(), media_type
            try:
                async with self._session().request(
                    method, self._url + path, headers=headers, data=data, allow_redirects=False
                ) as answer:
                    if answer.status != HTTPStatus.UNAUTHORIZED or token is not None or refused:
                        self._must_be_good(path, answer)
                        yield answer
                        return
            except (aiohttp.ClientConnectorError, TimeoutError) as error:
                raise self._away(f"{path}: {str(error) or 'no answer'}") from error
            except (aiohttp.ClientError, ConnectionError) as error:
                what = str(error) or type(error).__name__
                raise InterruptedTransfer(f"{self.name}: {path}: it broke off: {what}") from error
            if not used:
                raise AuthenticationError(f"{self.name} wants tokens, and this region has none")
            refused = used

    async def _token(self, refused: str | None) -> str | None:
        if self._account is None:
            return None
        return await self._account.admin_token(f"hold images at {self.name}", refused=refused)

    async def _bytes(self, answer: aiohttp.ClientResponse, most: int) -> bytes:
        data = bytearray()
        async for piece in answer.content.iter_any():
            data += piece
            if len(data) > most:
                raise self._away(f"{answer.url.path}: an answer of more than {most} bytes")
        return bytes(data)

    def _must_be_good(self, path: str, answer: aiohttp.ClientResponse) -> None:
        told = f"{self.name}: {path}: the answer is {answer.status}"
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise AuthenticationError(told)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(told, told=AWAY)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _BY_STATUS.get(answer.status, ImageError)(told)

    def _away(self, why: str) -> UnavailableError:
        return UnavailableError(f"{self.name}: {why}", told=AWAY)

    def _session(self) -> aiohttp.ClientSession:
        if self._open is None:
            connector = aiohttp.TCPConnector(
                ssl=self._tls, limit=0, socket_factory=ReadingFirst.open
            )
            self._open = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        return self._open


def _path(image: str, *more: str) -> str:
    return "/".join(["/v2/images", *(quote(part, safe="") for part in (image, *more))])
