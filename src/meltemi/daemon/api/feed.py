"""What changes, for all who watch: the database is looked at once for all of them.

Nobody's slowness costs memory. A watcher has a place in the sequence of changes, nothing else; what
it has not taken in time is read from the database once it goes on.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Final

from meltemi.daemon.api import documents
from meltemi.daemon.state.records import Change
from meltemi.daemon.state.state import State
from meltemi.daemon.state.views import Progress
from meltemi.errors import StateError, UnavailableError

_log: Final = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.5
_BATCH: Final = 500
"""Changes that are read, and sent, at once."""

_KEPT: Final = 2000
"""Changes that are kept for watchers who are a little behind."""

_MOST: Final = 1000
"""Who may watch one process at once."""

_MOST_OF_PROJECT: Final = 100
"""How many of them with the same project's rights, so that nobody keeps others from watching."""

SILENCE_SECONDS: Final = 15.0
"""After how long something is sent though nothing changed, so that broken connections are seen."""

_COMMENT: Final = b":\n\n"

Wants = Callable[[Change | Progress], bool]
"""Says whether a watcher is to be told of something."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """Something that changed, and how it is told, with the reason and without.

    `id` is a change's number.
    """

    what: Change | Progress
    event: bytes
    bare: bytes
    id: int = 0


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who watches: what of all that changes, and for which project; None may see everything.

    Reasons may name what is another project's, or the operator's: no project is told them.
    """

    wants: Wants
    project: str | None = None

    def told(self, sent: Iterable[_Sent]) -> bytes:
        """Give the events that are told of what changed."""
        whole = self.project is None
        return b"".join(one.event if whole else one.bare for one in sent if self.wants(one.what))


class Feed:
    """Follows the state while somebody watches."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._recent: deque[_Sent] = deque()
        self._from = self._last = 0
        self._moving: dict[Progress, None] = {}
        self._moved: list[_Sent] = []
        self._moves = 0
        self._watchers: Counter[str | None] = Counter()
        self._watched = asyncio.Event()
        self._news = asyncio.Event()
        self._begins = True
        self._is_closed = False

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self._watched.wait()
            try:
                await self._look()
            except StateError as error:
                _log.warning("%s", error)
            await asyncio.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Let every watcher go."""
        self._is_closed = True
        self._tell()

    async def follow(self, last: int | None, watcher: Watcher) -> AsyncGenerator[bytes]:
        """Give events, and comments where there are none for long, until the feed is closed.

        The first one says where in the sequence it begins: behind the change with the number
        `last`, or now. Where what came behind that one is not kept any more, or the number is of
        another database, that is an event `reset`, and it goes on from now.
        """
        with self._watching(watcher.project):
            newest = await self._state.last_change()
            kind = "begin" if last is None or await self._is_known(last, newest) else "reset"
            place = newest if last is None or kind == "reset" else last
            yield _event(kind, {}, place)
            while not self._is_closed:
                news, moves = self._news, self._moves
                data, place = await self._after(place, watcher)
                if not data and not await _happens(news):
                    data = _COMMENT
                if not data and self._moves != moves:
                    data = watcher.told(self._moved)
                if data:
                    yield data

    async def _is_known(self, place: int, newest: int) -> bool:
        first = await self._state.views.first_change() or newest + 1
        return first - 1 <= place <= newest

    async def _after(self, place: int, watcher: Watcher) -> tuple[bytes, int]:
        """Give the next events behind a place, and the place they lead to."""
        while place < self._last:
            if place >= self._from:
                sent = self._behind(place)[:_BATCH]
            else:
                sent = [_of(one) for one in await self._state.changes(after=place, most=_BATCH)]
            place = sent[-1].id if sent else self._last
            if data := watcher.told(sent):
                return data, place
        return b"", place

    def _behind(self, place: int) -> list[_Sent]:
        behind = takewhile(lambda one: one.id > place, reversed(self._recent))
        return list(behind)[::-1]

    @contextmanager
    def _watching(self, project: str | None) -> Iterator[None]:
        is_full = self._watchers.total() >= _MOST
        if is_full or (project is not None and self._watchers[project] >= _MOST_OF_PROJECT):
            raise UnavailableError("too many watch", told="Too many watch this daemon already.")
        self._watchers[project] += 1
        self._watched.set()
        try:
            yield
        finally:
            self._watchers[project] -= 1
            if not self._watchers[project]:
                del self._watchers[project]
            if not self._watchers:
                self._watched.clear()
                self._begins = True

    async def _look(self) -> None:
        if self._begins:
            self._recent.clear()
            self._from = self._last = await self._state.last_change()
            self._begins = False
        while found := await self._state.changes(after=self._last, most=_BATCH):
            self._recent.extend(map(_of, found))
            while len(self._recent) > _KEPT:
                self._from = self._recent.popleft().id
            self._last = found[-1].id
            self._tell()
        moving = dict.fromkeys(await self._state.views.progress())
        if moved := [one for one in moving if one not in self._moving]:
            now = time.time()
            self._moved = [_moving(one, now) for one in moved]
            self._moves += 1
            self._tell()
        self._moving = moving

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _of(change: Change) -> _Sent:
    event = _event("change", documents.change(change), change.id)
    bare = event
    if change.detail:
        bare = _event("change", documents.change(replace(change, detail="")), change.id)
    return _Sent(change, event, bare, change.id)


def _moving(progress: Progress, now: float) -> _Sent:
    event = _event("progress", documents.progress(progress, now))
    return _Sent(progress, event, event)


def _event(kind: str, document: Any, number: int | None = None) -> bytes:
    name = f"event: {kind}\n" if number is None else f"id: {number}\nevent: {kind}\n"
    return name.encode() + b"data: " + documents.encode(document) + b"\n\n"


async def _happens(news: asyncio.Event) -> bool:
    """Wait for news, but not for long; say whether there are."""
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            await news.wait()
    except TimeoutError:
        return False
    return True
