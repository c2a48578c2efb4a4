"""Imports by which an Image service fetches an image from another region itself."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from meltemi.errors import (
    BusyError,
    ConflictError,
    ForbiddenError,
    ImageError,
    NotALibraryError,
    RefusedError,
    VanishedError,
)
from meltemi.libraries.glance.http import GlanceHttp, image_path
from meltemi.libraries.pulling import Way

_METHOD: Final = "glance-download"
_COPIED: Final = re.compile(r"Copied (\d+) MiB")
_PAUSE_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 24 * 3600.0
"""How long an import is waited for: of one whose Glance was killed, nobody says that it ended."""


class GlancePulls:
    """Imports from the services that a catalogue has; `ways` lead to them by their addresses."""

    def __init__(self, http: GlanceHttp, ways: Mapping[str, Way]) -> None:
        self._http = http
        self._ways = ways

    async def way_to(self, identity: str) -> Way | str:
        """Look into the catalogue, and ask the service whether it imports so."""
        if (way := self._ways.get(identity)) is None:
            return f"{self._http.name} and {identity} are no regions of one cloud"
        about = "asking how it imports images"
        try:
            body = await self._http.request("GET", "/v2/info/import", about)
            with self._http.understanding(about):
                methods = list(body["import-methods"]["value"])
        except (ImageError, NotALibraryError):
            methods = []
        return way if _METHOD in methods else f"{self._http.name} has no import {_METHOD}"

    async def pull(
        self,
        image_id: str,
        way: Way,
        source_id: str,
        bases: Sequence[str],
        copied: Callable[[int], None],
    ) -> None:
        """Ask for an import, and look after its task until that has ended."""
        about = f"pulling image {source_id} from region {way.region}"
        method = {
            "name": _METHOD,
            "glance_region": way.region,
            "glance_image_id": source_id,
            "glance_service_interface": way.interface,
        }
        former = {task["id"] for task in await self._tasks(image_id, about)}
        try:
            await self._begin(
                image_id, about, {**method, "bases": list(bases)} if bases else method
            )
        except (ConflictError, ForbiddenError, VanishedError):
            if not bases:
                raise
            # A base may be gone by now, or have no data yet.
            await self._begin(image_id, about, method)
        clock = asyncio.get_running_loop()
        latest = clock.time() + _LONGEST_SECONDS
        while clock.time() < latest:
            tasks = await self._tasks(image_id, about)
            for task in tasks:
                if task["id"] in former:
                    continue
                if task["status"] == "success":
                    return
                if task["status"] == "failure":
                    raise RefusedError(f"{self._http.name}: {about}: {task['message']}")
                if told := _COPIED.fullmatch(task["message"]):
                    copied(int(told[1]) * 2**20)
            await asyncio.sleep(_PAUSE_SECONDS)
        raise BusyError(
            f"{self._http.name}: {about}: it has not ended in a day; if nothing is at work on it "
            f"there, delete image {image_id} there"
        )

    async def _begin(self, image_id: str, about: str, method: Mapping[str, Any]) -> None:
        path = image_path(image_id, "import")
        await self._http.request("POST", path, about, repeatable=False, body={"method": method})

    async def _tasks(self, image_id: str, about: str) -> Sequence[Mapping[str, str]]:
        body = await self._http.request("GET", image_path(image_id, "tasks"), about)
        with self._http.understanding(about):
            return [
                {name: str(task[name] or "") for name in ("id", "status", "message")}
                for task in body["tasks"]
            ]
