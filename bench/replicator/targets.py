"""One image to several targets that take it at capped rates."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from bench.figures import MB, Figure, Result, at_most, ratio
from bench.files import random_file
from bench.replicator.capped import capped
from bench.replicator.scale import Scale
from bench.replicator.services import Services
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress
from meltemi.model.plan import Action
from meltemi.model.route import Limits, Route
from meltemi.replication.report import Outcome, Reporter
from meltemi.replication.run import opened, plan_route, run_plan


def three_targets(services: Services, scale: Scale) -> Iterator[Result]:
    """One image to capped targets: read once, and none delays another."""
    file = random_file(services.folder / "shared", scale.shared)
    services.upload("source", file, "shared")
    file.unlink()
    names = ("one", "two", "three")
    alone: list[float] = []
    together: list[float] = []
    others: list[float] = []
    served: list[float] = []
    for _ in range(scale.long_runs):
        alone.append(_shared_run(services, {"one": 50 * MB})[0]["one"])
        ended, count = _shared_run(services, dict.fromkeys(names, 50 * MB))
        together.append(max(ended.values()))
        served.append(count / scale.shared)
        ended, _ = _shared_run(services, {"one": 50 * MB, "two": 50 * MB, "three": 5 * MB})
        others.append(max(ended["one"], ended["two"]))
    runs = {"one target": alone, "three": together, "two beside a slow one": others}
    once = median(served)
    name = "three targets: bytes served by the source, in images"
    yield Figure(name, "1", once, "x", once < 1.01, {"served": served})
    share = ratio(together, alone)
    yield at_most("three targets at 50 MB/s: time against one", 1.1, share, "x", runs)
    share = ratio(others, together)
    name = "two at 50 MB/s beside one at 5 MB/s: time against three at 50"
    yield Figure(name, "at most 1", share, "x", share <= 1.03, runs)
    services.wipe("source", *names)


class _Ends(Reporter):
    """Remembers when each target was done."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def started(self, action: Action) -> None:
        """Hear nothing of use."""

    def moved(self, action: Action, count: int) -> None:
        """Hear nothing of use."""

    def finished(self, outcome: Outcome) -> None:
        """Remember the time."""
        assert outcome.error is None, outcome.detail
        self.seconds[outcome.action.subject.target] = time.perf_counter() - self.begun


def _shared_run(services: Services, rates: dict[str, int]) -> tuple[dict[str, float], int]:
    """Copy everything to capped targets; give when each was done, and the bytes served."""
    services.wipe(*rates)
    with ExitStack() as stack:
        counter = stack.enter_context(capped(services.url("source"), None))
        urls = {
            name: stack.enter_context(capped(services.url(name), rate)).url
            for name, rate in rates.items()
        }
        ends = asyncio.run(_copy({"source": counter.url} | urls))
    return ends, counter.served


async def _copy(urls: dict[str, str]) -> dict[str, float]:
    route = Route("bench", "source", tuple(name for name in urls if name != "source"))
    async with opened(
        list(urls), lambda name: open_library(LibraryAddress(url=urls[name]), name=name)
    ) as libraries:
        plan = await plan_route(route, libraries)
        ends = _Ends()
        await run_plan(plan, libraries, ends, limits=Limits(), max_delete=0)
        return ends.seconds
