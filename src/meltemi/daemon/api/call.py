"""One request to a daemon, by somebody who is known and may make it."""

import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from aiohttp import web

from meltemi.config.load import Configuration
from meltemi.daemon.api import documents
from meltemi.daemon.api.feed import Feed
from meltemi.daemon.api.senders import Sender, Senders
from meltemi.daemon.events.webhook import Webhook
from meltemi.daemon.state.records import Act
from meltemi.daemon.state.state import State
from meltemi.daemon.state.views import Shape
from meltemi.errors import ConflictError, UsageError, VanishedError
from meltemi.model.role import Role

PAGE: Final = 1000
LONGEST_PAGE: Final = 10_000
_LARGEST: Final = 2**63 - 1
_DIGITS: Final = 20

Page = Callable[[int, Shape[bytes]], Awaitable[bytes]]
"""Reads so many rows, and shapes them."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that answering takes. `holder` is the name of this process."""

    configuration: Callable[[], Configuration]
    state: State
    feed: Feed
    senders: Callable[[], Senders]
    holder: str
    webhook: Webhook


@dataclass(frozen=True, slots=True)
class Call:
    """A request, its sender, and what the answer is made of."""

    parts: Parts
    sender: Sender
    request: web.Request

    @property
    def state(self) -> State:
        """Give the state."""
        return self.parts.state

    @property
    def names_processes(self) -> bool:
        """Say whether the sender is told which processes there are, on which hosts."""
        return self.sender.may(Role.OPERATOR)

    @property
    def within(self) -> dict[str, float]:
        """Give the deadlines of routes that have one, in seconds."""
        routes = self.parts.configuration().routes
        return {one.name: one.within.total_seconds() for one in routes if one.within is not None}

    @property
    def late(self) -> dict[str, float]:
        """Give the moments, by route, since before which what is late has been behind."""
        now = time.time()
        return {name: now - seconds for name, seconds in self.within.items()}

    def query(self, *known: str) -> dict[str, str]:
        """Give the parameters of the query; raise UsageError for one that means nothing here."""
        given = self.request.query
        for name in given:
            _must_be_known("parameter", name, known)
            if len(given.getall(name)) > 1:
                raise UsageError(f"{name} is given twice")
            _must_be_text(name, given[name])
        return dict(given)

    def path(self, name: str) -> str:
        """Give a part of the path; raise UsageError for one that nothing can be named."""
        value = self.request.match_info[name]
        _must_be_text(name, value)
        return value

    def limit(self, query: Mapping[str, str]) -> int:
        """Give how many a page may have."""
        return number("limit", query.get("limit"), 1, LONGEST_PAGE) or PAGE

    def before(self, query: Mapping[str, str]) -> int | None:
        """Give the number that the page before ended with."""
        return number("marker", query.get("marker"), 0, _LARGEST)

    async def json(self, *known: str) -> dict[str, str]:
        """Read the body: an object of texts with these names, or nothing."""
        body = await self.request.read()
        try:
            read = json.loads(body) if body.strip() else {}
        except (ValueError, RecursionError):
            raise UsageError("the body is no JSON") from None
        if not isinstance(read, dict):
            raise UsageError("the body has to be an object")
        for name, value in read.items():
            _must_be_known("key", name, known)
            if not isinstance(value, str) or not value:
                raise UsageError(f"{name} has to be some text")
            _must_be_text(name, value)
        return read

    def known_route(self, name: str | None) -> str | None:
        """Give back the name of a route; raise UsageError where there is none."""
        routes = [route.name for route in self.parts.configuration().routes]
        return name if name is None else _must_be_known("route", name, routes)

    def known_library(self, name: str | None) -> str | None:
        """Give back the name of a target; raise UsageError where it is none."""
        routes = self.parts.configuration().routes
        targets = {target: None for route in routes for target in route.targets}
        return name if name is None else _must_be_known("library", name, targets)

    async def image(self, text: str | None) -> str | None:
        """Give the id of an image that is named by it, or by its name.

        Raise VanishedError where the sender can see none, ConflictError where there are several.
        """
        if text is None:
            return None
        found = await self.state.views.images(text, self.sender.project)
        if not found:
            raise VanishedError(f"no image {text!r} is known to the daemon")
        if len(found) > 1:
            raise ConflictError(f"several images are named {text!r}: {', '.join(found)}")
        return found[0]

    async def numbered(
        self, kind: str, read: Page, tell: Callable[[Any], Any], query: Mapping[str, str]
    ) -> web.Response:
        """Answer with a page of what has numbers, each row told by a function."""
        limit = self.limit(query)

        def shape(rows: Sequence[Any]) -> bytes:
            following = self.next(rows[limit - 1].id) if len(rows) > limit else None
            return documents.page(kind, [tell(row) for row in rows[:limit]], following)

        return answer(await read(limit + 1, shape))

    def next(self, marker: object) -> str:
        """Give the address of the next page."""
        return str(self.request.rel_url.update_query(marker=str(marker)))

    def act(self, action: str, subject: str, *, refused: bool = False) -> Act:
        """Make the entry of the audit log for what the sender does."""
        return Act(
            at=time.time(),
            who=self.sender.who,
            role=self.sender.role,
            project=self.sender.project,
            action=action,
            subject=subject,
            result="refused" if refused else "done",
            request_id=self.sender.request_id,
        )


def answer(body: bytes, status: int = 200) -> web.Response:
    """Answer with JSON that is written already."""
    return web.Response(body=body, status=status, content_type="application/json")


def told(document: Any, status: int = 200) -> web.Response:
    """Answer with JSON."""
    return answer(documents.encode(document), status)


def _must_be_known(what: str, name: str, known: Collection[str]) -> str:
    if name in known:
        return name
    near = get_close_matches(name[:100], known, n=1)
    raise UsageError(
        f"there is no {what} {name!r}; did you mean {near[0]}?"
        if near
        else f"there is no {what} {name!r}: there are {', '.join(known) or 'none'}"
    )


def _must_be_text(name: str, value: str) -> None:
    if "\0" in value or not value.isprintable():
        raise UsageError(f"{name} holds a character that it cannot hold")


def number(name: str, text: str | None, least: int, most: int) -> int | None:
    """Read a whole number that may be missing; raise UsageError where it is none of a range."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        raise UsageError(f"{name} has to be a whole number")
    if not least <= int(text) <= most:
        raise UsageError(f"{name} has to be from {least} to {most}")
    return int(text)
