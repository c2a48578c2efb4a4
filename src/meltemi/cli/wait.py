"""`meltemi wait IMAGE`."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

import click

from meltemi.cli.asking import asking, daemon_options, say
from meltemi.cli.options import DURATION, option
from meltemi.daemon.client import Client
from meltemi.errors import ImageError, UnreachableError, UsageError, VanishedError
from meltemi.model.units import format_duration

TOO_LATE: Final = 1
_LOOK_SECONDS: Final = 30.0
"""How often the daemon is asked, whatever events come."""


@click.command("wait")
@click.argument("image")
@option("--in", "wait_in", metavar="LIBRARY,…", help="Where; else wherever it is wanted.")
@option(
    "--timeout", "wait_timeout", type=DURATION, default="1h", show_default=True, help="How long."
)
@daemon_options
def command(image: str, **options: Any) -> int:
    """Wait until IMAGE (an id, or a name) is ready in other libraries.

    It may be one that the daemon does not know yet. The exit code is 0 once it is ready in all of
    them, 3 as soon as it could not be copied to one, and 1 when the time is over.
    """
    return asking(partial(_wait, image=image, options=options), options)


async def _wait(client: Client, *, image: str, options: Mapping[str, Any]) -> int:
    libraries = _parted(options["wait_in"])
    await _must_be_targets(client, libraries)
    waiting = _Waiting(client, image, libraries)
    patience: timedelta = options["wait_timeout"]
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await waiting.until_ready()
    except TimeoutError:
        say(f"meltemi: {image}: not ready after {format_duration(patience)}: {waiting.told}")
        return TOO_LATE
    return 0


def _parted(text: str | None) -> list[str]:
    if text is None:
        return []
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError("--in takes names of libraries with commas between them")
    return list(dict.fromkeys(names))


async def _must_be_targets(client: Client, names: Sequence[str]) -> None:
    routes = (await client.get("/v1/routes"))["routes"]
    known = list(dict.fromkeys(one["name"] for route in routes for one in route["libraries"]))
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"there is no library {name!r}; {advice}")


class _Waiting:
    """Waits for one image; `told` says how far it is, as is said on stderr when it changes."""

    def __init__(self, client: Client, image: str, libraries: Sequence[str]) -> None:
        self._client = client
        self._image = image
        self._libraries = libraries
        self._old: dict[str, str] | None = None
        self.told = "the daemon has not answered"
        self._said = ""

    async def until_ready(self) -> None:
        """Return once it is ready; raise ImageError where it could not be copied."""
        changed = asyncio.Event()
        following = asyncio.create_task(self._follow(changed))
        try:
            while not await self._look():
                self._say()
                waiting = asyncio.create_task(changed.wait())
                await asyncio.wait(
                    {waiting, following},
                    timeout=_LOOK_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                waiting.cancel()
                if following.done():
                    following.result()
                changed.clear()
            self._say()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def _say(self) -> None:
        if self.told != self._said:
            say(f"{self._image}: {self.told}")
            self._said = self.told

    async def _follow(self, changed: asyncio.Event) -> None:
        async with aclosing(self._client.events({"image": self._image})) as events:
            async for event in events:
                if event.kind == "away":
                    say(f"meltemi: {event.data['reason']}; trying again")
                elif event.kind != "progress":
                    changed.set()

    async def _look(self) -> bool:
        """Say whether it is ready; raise ImageError where it could not be copied."""
        try:
            found = await self._client.pages("/v1/placements", "placements", {"image": self._image})
            there = {one["library"]: one for one in found if one["wanted"]}
            troubles = await self._troubles(there)
            libraries = self._libraries or [*{**there, **troubles}]
            missing = [name for name in libraries if name not in there]
        except VanishedError:
            self._old = self._old or {}
            self.told = "the daemon does not know it"
            return False
        except UnreachableError as error:
            if self._old is None:
                raise
            self.told = str(error)
            return False
        self._must_go_on([there[name] for name in libraries if name in there])
        known = {name: placement["status"] for name, placement in there.items()}
        told = {**dict.fromkeys(missing, "does not get it"), **troubles, **known}
        self.told = ", ".join(f"{name} {told[name]}" for name in libraries) or "no library gets it"
        return bool(libraries) and {told[name] for name in libraries} == {"ready"}

    async def _troubles(self, there: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Give why libraries are left alone that may want the image, as far as that is told.

        What a route that carries it wants in them is not known before they answer.
        """
        carrying = {one["route"] for one in there.values()}
        return {
            one["name"]: f"is left alone for a while ({one['trouble']})"
            for route in (await self._client.get("/v1/routes"))["routes"]
            for one in route["libraries"]
            if one.get("trouble") and (self._libraries or route["name"] in carrying)
        }

    def _must_go_on(self, asked: Sequence[Mapping[str, Any]]) -> None:
        """Raise ImageError for what failed meanwhile, or is in conflict.

        What had failed before is tried again; a conflict is not, until somebody does something.
        """
        failed = {one["library"]: one["since"] for one in asked if one["observed"] == "failed"}
        if self._old is None:
            self._old = failed
        for one in asked:
            library = one["library"]
            is_new = library in failed and self._old.get(library) != failed[library]
            if is_new or one["observed"] == "conflict":
                raise ImageError(f"{self._image}: {library}: {one['status']}")
