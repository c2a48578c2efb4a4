"""Telling owners, on their own images, what became of the regions that they have chosen."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from meltemi.daemon.owners import Asked, Owners
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.records import Request
from meltemi.errors import ForbiddenError, MeltemiError, VanishedError
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import STATUS, Image, state_digest
from meltemi.model.route import Route
from meltemi.model.task import IMPORT_TASK

_log: Final = logging.getLogger(__name__)

_EVERY: Final = 2.0
"""Seconds between two writings to one image, at least."""

_AGAIN: Final = 60.0
"""Seconds after which it is tried again where it failed."""

_REFUSED: Final = 3600.0
"""The same where the source does not allow it."""

_LATELY: Final = 600.0
"""Seconds for which an event may be no more than the echo of what was written here."""

_AT_ONCE: Final = 4
_READ_ONLY: Final = "the source does not let the daemon write it"


@dataclass(frozen=True, slots=True)
class _Written:
    """An image as it was left, and when that was."""

    state: str
    at: float


class Scribe:
    """Writes what is to be answered, and knows its own writings again.

    Images that are filled are left alone: see "No updates during an upload" in docs/design.md.
    """

    def __init__(self, shelf: Shelf, owners: Owners) -> None:
        self._shelf = shelf
        self._owners = owners
        self._busy: dict[Asked, asyncio.Task[None]] = {}
        self._judging: set[asyncio.Task[None]] = set()
        self._due: dict[Asked, float] = {}
        self._written: dict[Asked, _Written] = {}
        self._with_members: Collection[str] = ()

    def take(self, routes: Iterable[Route]) -> None:
        """Go on with the routes of another configuration."""
        self._with_members = {route.source for route in routes if route.policy.members}

    def start(self) -> None:
        """Begin to write what is due."""
        now = time.monotonic()
        for asked in list(self._owners.unsaid):
            if len(self._busy) >= _AT_ONCE:
                break
            if asked not in self._busy and self._due.get(asked, 0.0) <= now:
                self._busy[asked] = task = asyncio.create_task(self._tell(asked))
                task.add_done_callback(lambda _, asked=asked: self._busy.pop(asked))  # type: ignore[misc]  # binds the loop's image
        for asked in [one for one, due in self._due.items() if due <= now]:
            del self._due[asked]

    async def stop(self) -> None:
        """Break off what goes on."""
        tasks = [*self._busy.values(), *self._judging]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def judge(self, request: Request, answer: Callable[[Request], None]) -> None:
        """Answer a request of an event, unless that only tells what was written here."""
        asked = self._suspected(request)
        if asked is None:
            answer(request)
            return

        async def look() -> None:
            if await self._is_echo(asked):
                _log.info("%s: image %s: an event tells only what was written here", *asked)
            else:
                answer(request)

        task = asyncio.create_task(look())
        self._judging.add(task)
        task.add_done_callback(self._judging.discard)

    def _suspected(self, request: Request) -> Asked | None:
        """Give the image where what was written lately may be all that an event is about."""
        since = time.monotonic() - _LATELY
        for asked in [one for one, written in self._written.items() if written.at < since]:
            del self._written[asked]
        if request.source is None or request.image is None or request.library is not None:
            return None  # of a target, an event tells that a replica is gone
        asked = Asked(request.source, request.image)
        return asked if asked in self._written else None

    async def _is_echo(self, asked: Asked) -> bool:
        written = self._written.get(asked)
        try:
            library = await self._shelf.get(asked.source)
            image = await library.show(asked.image)
            return written is not None and await self._state(library, image) == written.state
        except MeltemiError:
            return False

    async def _tell(self, asked: Asked) -> None:
        wait = _EVERY
        try:
            wait = await self._write(asked)
        except VanishedError:
            self._owners.said(asked, self._owners.answer(asked))
        except ForbiddenError as error:
            wait = _REFUSED
            _log.info("%s: %s", _READ_ONLY, error)
            self._owners.said(asked, "", _READ_ONLY)
        except MeltemiError as error:
            wait = _AGAIN
            _log.warning("an owner could not be told: %s", error)
        except Exception:  # noqa: BLE001 - logged; the daemon goes on
            wait = _AGAIN
            _log.exception("image %s of %s: a defect", asked.image, asked.source)
        self._due[asked] = time.monotonic() + wait

    async def _write(self, asked: Asked) -> float:
        """Write what is to be answered; give the seconds for which to leave the image alone."""
        library = await self._shelf.get(asked.source)
        if library.keeps_owners:
            self._owners.said(asked, "", "an archive has nobody to read it")
            return _REFUSED
        image = await library.show(asked.image)
        if not image.has_data or IMPORT_TASK in image.properties:
            return _EVERY
        text = self._owners.answer(asked)
        if image.properties.get(STATUS, "") != text:
            gone = frozenset() if text else frozenset({STATUS})
            changes = Changes({STATUS: text} if text else {}, gone)
            image = await library.update(asked.image, changes)
            state = await self._state(library, image)
            self._written[asked] = _Written(state, time.monotonic())
        self._owners.said(asked, text)
        return _EVERY

    async def _state(self, library: Library, image: Image) -> str:
        """Digest all of an image that routes carry, and what its owner is told."""
        members = None
        if library.name in self._with_members and image.visibility == "shared":
            members = await library.list_members(image.id)
        return f"{state_digest(image, members)} {image.properties.get(STATUS)}"
