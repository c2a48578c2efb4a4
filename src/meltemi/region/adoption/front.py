"""Standing in front of a Glance: what is answered here, and what is passed on to it.

Images, their data and their members are read here. Everything else goes to the Glance, with the
user's own token, until the adoption is finished: so whatever users do is there, and nothing is
lost when it is rolled back.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from meltemi.catalogue.adopting_base import Ledger
from meltemi.errors import ConflictError, MeltemiError, UnavailableError
from meltemi.model.adoption import Adoption, Stage
from meltemi.region.adoption.fetching import Fetches
from meltemi.region.adoption.filling import Filler
from meltemi.region.adoption.following import Follower
from meltemi.region.adoption.origin import Origin, Passed

_REMEMBERED: Final = 1.0
"""Seconds for which it is taken for granted how the adoption stands, where nothing is changed."""

_IMAGE: Final = re.compile(r"/v2/images/(?P<image>[^/]+)(?P<rest>/.*)?")
_DATA: Final = ("/file", "/stage")
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_NOT_PASSED: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
        *("transfer-encoding", "upgrade", "host", "content-length", "expect", "date", "server"),
        "x-openstack-request-id",
    }
)
"""Headers that are of a connection, or that each side has of its own."""

_log: Final = logging.getLogger(__name__)


class Front:
    """Decides who answers; `holder` is this process."""

    def __init__(
        self,
        origin: Origin,
        ledger: Ledger,
        holder: str,
        *,
        fetches: Fetches,
        follower: Follower,
        filler: Filler,
    ) -> None:
        self.fetches = fetches
        self.filler = filler
        self._origin = origin
        self._ledger = ledger
        self._follower = follower
        self._holder = holder
        self._under_way: set[asyncio.Task[Any]] = set()
        self._state: Adoption | None = None
        self._until = 0.0

    async def answer(
        self, request: web.Request, path: str, locate: Callable[[str], str]
    ) -> web.Response | None:
        """Answer as the Glance does; None for what this region answers itself.

        `path` is that of the request in its plain form, `locate` makes a URL of one. Raise
        UnavailableError where the adoption does not stand so that anybody could answer.
        """
        state = await self._stands()
        if state is not None and state.stage is Stage.FINISHED:
            return None
        _must_be_served(state)
        found = _IMAGE.fullmatch(path)
        rest = (found["rest"] or "") if found else ""
        if request.method == "GET" and (found or path == "/v2/images") and rest != "/tasks":
            if found:
                await self._freshen(found["image"])
            return None
        if rest == "/actions/clone":
            raise ConflictError(
                "Images cannot be cloned before this region has taken over from the Image service "
                "behind it."
            )
        if request.method in _SAFE:
            passed = await self._origin.pass_on(request.method, *_head(request), None)
            return _answer(passed, locate)
        return await self._change(request, found["image"] if found else None, rest, locate)

    async def close(self) -> None:
        """Give up what is on its way, and end all connections."""
        under_way = list(self._under_way)
        for work in under_way:
            work.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self.fetches.close()
        await self._origin.close()

    async def _change(
        self, request: web.Request, image: str | None, rest: str, locate: Callable[[str], str]
    ) -> web.Response | None:
        if rest in _DATA:
            data = request.content.iter_any() if request.can_read_body else None
            return await self._pass(request, image, data, locate)
        # Once it has come, it is passed on and taken over whether somebody waits for it or not.
        body = await request.read() or None
        passing = asyncio.create_task(self._pass(request, image, body, locate))
        self._keep(passing)
        return await asyncio.shield(passing)

    def _keep(self, work: asyncio.Task[Any]) -> None:
        """Let something be done to its end, whether somebody waits for it or not."""

        def ended(work: asyncio.Task[Any]) -> None:
            self._under_way.discard(work)
            if not work.cancelled():
                work.exception()  # else asyncio complains of an error that nobody waited for

        self._under_way.add(work)
        work.add_done_callback(ended)

    async def _pass(
        self,
        request: web.Request,
        image: str | None,
        body: AsyncIterator[bytes] | bytes | None,
        locate: Callable[[str], str],
    ) -> web.Response | None:
        async with self._announced() as is_mine:
            if not is_mine:
                return None
            path, headers = _head(request)
            passed = await self._origin.pass_on(request.method, path, headers, body)
            await self._take_over(image or _made(request, passed))
            return _answer(passed, locate)

    @asynccontextmanager
    async def _announced(self) -> AsyncIterator[bool]:
        """Announce a change to whoever wants to finish; give False where it is finished."""
        state, number = await self._ledger.begin_passing(self._holder)
        try:
            if number is None and (state is None or state.stage is not Stage.FINISHED):
                _must_be_served(state)
                raise UnavailableError(
                    "a change came while the adoption is being finished",
                    told="Nothing can be changed for a moment: this region is taking over from "
                    "the Image service behind it. Please try again.",
                )
            yield number is not None
        finally:
            if number is not None:
                self._keep(asyncio.create_task(self._end(number)))

    async def _end(self, number: str) -> None:
        """Say that a change has been passed on, as soon as the catalogue takes it."""
        while True:
            try:
                await self._ledger.end_passing(number)
            except MeltemiError as error:
                _log.warning("a change that was passed on still counts: %s", error)
                await asyncio.sleep(_REMEMBERED)
            else:
                return

    async def _take_over(self, image: str | None) -> None:
        """Take over what was changed; where that fails, the next comparison does it."""
        if image is None:
            return
        try:
            await self._follower.follow(image)
        except MeltemiError as error:
            _log.warning("image %s: its change is not taken over yet: %s", image, error)

    async def _freshen(self, image: str) -> None:
        """Look at an image in the Glance that is not here, or that may change by itself."""
        if not await self._ledger.is_settled(image):
            await self._take_over(image)

    async def _stands(self) -> Adoption | None:
        clock = asyncio.get_running_loop().time()
        if clock >= self._until:
            self._state = await self._ledger.state()
            self._until = clock + _REMEMBERED
            if self._state is not None and self._state.stage is Stage.FINISHED:
                self._until = float("inf")
        return self._state


def _must_be_served(state: Adoption | None) -> None:
    if state is None:
        raise UnavailableError(
            "no adoption is under way: it was rolled back, or meltemi adopt start was not run",
            told="This region does not serve images: its adoption of another Image service was "
            "rolled back.",
        )
    if state.stage is Stage.READING:
        raise UnavailableError(
            "the images of the Glance are being learnt",
            told="This region is learning which images there are. Please try again later.",
        )


def _head(request: web.Request) -> tuple[str, dict[str, str]]:
    """Give the path and the headers with which a request is passed on."""
    headers = {
        name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED
    }
    if request.content_length is not None:
        headers["Content-Length"] = str(request.content_length)
    # A request may name a host before its path; it goes nowhere but to the Glance.
    return "/" + request.rel_url.raw_path_qs.lstrip("/"), headers


def _answer(passed: Passed, locate: Callable[[str], str]) -> web.Response:
    headers = {
        name: value for name, value in passed.headers.items() if name.lower() not in _NOT_PASSED
    }
    if location := passed.headers.get("Location"):
        before, separator, path = location.partition("/v2/")
        if separator and "?" not in before:
            headers["Location"] = locate(f"/v2/{path}")
    return web.Response(status=passed.status, headers=headers, body=passed.body)


def _made(request: web.Request, passed: Passed) -> str | None:
    """Name the image that a request has made, if it was one for that."""
    is_for_that = request.method == "POST" and request.path.endswith("/images")
    if not is_for_that or passed.status != HTTPStatus.CREATED:
        return None
    try:
        return str(json.loads(passed.body)["id"])
    except (KeyError, TypeError, ValueError):
        return None
