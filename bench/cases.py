"""The measurements, each a ratio with what is wanted of it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from bench import peers
from bench.capped import capped
from bench.services import Services, random_file
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress
from meltemi.model.plan import Action
from meltemi.model.route import Limits, Route
from meltemi.replication.report import Outcome
from meltemi.replication.run import opened, plan_route, run_plan
from meltemi.replication.survey import survey

MIB = 2**20
MB = 10**6


@dataclass(frozen=True)
class Scale:
    """How much is measured: bytes, counts and runs."""

    large: int = 1024 * MIB
    small: int = 200
    shared: int = 256 * MIB
    listed: int = 2000
    huge: int = 10 * 1024 * MIB
    runs: int = 3
    long_runs: int = 2


QUICK = Scale(64 * MIB, 20, 16 * MIB, 100, 256 * MIB, 2, 1)


@dataclass(frozen=True)
class Figure:
    """One figure: what was wanted, what was measured, and the runs that it is the median of."""

    name: str
    wanted: str
    measured: float
    unit: str
    met: bool
    runs: dict[str, list[float]]


def one_large(services: Services, scale: Scale) -> Iterator[Figure]:
    """One large image to one target, verified, against a pipe."""
    source, target = services.url("source"), services.url("one")
    file = random_file(services.folder / "large", scale.large)
    image_id = services.upload("source", file, "large")
    file.unlink()
    pipe, ours = [], []
    for _ in range(scale.runs):
        services.wipe("one")
        pipe.append(_seconds(lambda: peers.curl_pipe(source, image_id, target)))
        services.wipe("one")
        ours.append(peers.meltemi("livecopy", source, target))
    ratio = median(pipe) / median(ours)
    name = f"one image of {scale.large // MIB} MiB: speed against the pipe"
    yield Figure(name, "at least 0.95", ratio, "x", ratio >= 0.95, {"pipe": pipe, "ours": ours})
    services.wipe("source", "one")


def many_small(services: Services, scale: Scale) -> Iterator[Figure]:
    """Many small images, against pipes one after another and the openstack client."""
    source, target = services.url("source"), services.url("one")
    services.fill("source", scale.small, MIB)
    runs: dict[str, list[float]] = {"pipe": [], "8 pipes": [], "ours": []}
    for _ in range(scale.runs):
        services.wipe("one")
        runs["pipe"].append(peers.curl_pipes(source, target, at_once=1))
        services.wipe("one")
        runs["8 pipes"].append(peers.curl_pipes(source, target, at_once=8))
        services.wipe("one")
        runs["ours"].append(peers.meltemi("livecopy", source, target))
    ours = median(runs["ours"])
    ids = [line.split()[0] for line in _ids(source)[:4]]
    client = peers.openstack_copies(services.folder, source, target, ids) * scale.small
    name = f"{scale.small} images of 1 MiB"
    ratio = median(runs["pipe"]) / ours
    yield Figure(f"{name}: against one pipe", "at least 1.6", ratio, "x", ratio >= 1.6, runs)
    both = {"8 pipes": runs["8 pipes"]}
    ratio = median(runs["8 pipes"]) / ours
    yield Figure(f"{name}: against 8 pipes at once", "for reference", ratio, "x", True, both)
    ratio = client / ours
    extrapolated = {"save and create, from 4 images": [client]}
    yield Figure(f"{name}: against openstack", "at least 50", ratio, "x", ratio >= 50, extrapolated)
    services.wipe("source", "one")
    services.fill("source", scale.small, MIB, visibility="public", os_distro="debian")
    public = []
    for _ in range(scale.long_runs):
        services.wipe("one")
        public.append(peers.meltemi("livecopy", source, target))
    ratio = median(runs["pipe"]) / median(public)
    yield Figure(
        f"{name}, public, one property: against one pipe without",
        "for reference",
        ratio,
        "x",
        True,
        {"ours": public},
    )
    services.wipe("source", "one")


def three_targets(services: Services, scale: Scale) -> Iterator[Figure]:
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
    yield Figure(
        "three targets: bytes served by the source, in images",
        "1",
        once,
        "x",
        once < 1.01,
        {"served": served},
    )
    ratio = median(together) / median(alone)
    yield Figure(
        "three targets at 50 MB/s: time against one", "at most 1.1", ratio, "x", ratio <= 1.1, runs
    )
    ratio = median(others) / median(together)
    yield Figure(
        "two at 50 MB/s beside one at 5 MB/s: time against three at 50",
        "at most 1",
        ratio,
        "x",
        ratio <= 1.03,
        runs,
    )
    services.wipe("source", *names)


def unchanged(services: Services, scale: Scale) -> Iterator[Figure]:
    """Planning over images that are all in sync, against the two listings at once."""
    source, target = services.url("source"), services.url("one")
    properties = {"hw_disk_bus": "virtio", "os_distro": "debian", "tags": ["bench"]}
    services.fill("source", scale.listed, 16, **properties)
    peers.meltemi("livecopy", source, target)
    page = min(
        (100, 250, 500, 1000),
        key=lambda page: asyncio.run(peers.listings([source, target], page)),
    )
    plain, ours = asyncio.run(_plan_runs(source, target, page, scale.runs * 2))
    ratio = median(ours) / median(plain)
    yield Figure(
        f"{scale.listed} unchanged images: time against both listings ({page} a page)",
        "at most 1.2",
        ratio,
        "x",
        ratio <= 1.2,
        {"listings": plain, "ours": ours},
    )
    services.wipe("source", "one")


def peak_memory(services: Services, scale: Scale) -> Iterator[Figure]:
    """Peak memory of the command for one huge image."""
    source, target = services.url("source"), services.url("one")
    file = services.folder / "huge"
    with file.open("wb") as sparse:
        sparse.truncate(scale.huge)
    services.upload("source", file, "huge")
    command = [sys.executable, "-m", "meltemi", "livecopy", source, target]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *command], check=True, capture_output=True, text=True
    )
    peak = int(done.stdout) / 1024
    yield Figure(
        f"peak memory for an image of {scale.huge // MIB} MiB",
        "under 150 MiB",
        peak,
        "MiB",
        peak < 150,
        {"MiB": [peak]},
    )
    services.wipe("source", "one")


# The kernel counts a new process's peak from its parent's, so a small one starts it.
_MEASURE = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss)
sys.exit(status != 0)
"""

CASES: Sequence[Callable[[Services, Scale], Iterator[Figure]]] = (
    one_large,
    many_small,
    three_targets,
    unchanged,
    peak_memory,
)


class _Ends:
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


async def _plan_runs(
    source: str, target: str, page: int, runs: int
) -> tuple[list[float], list[float]]:
    route = Route("bench", "source", ("target",))
    urls = {"source": source, "target": target}
    plain, ours = [], []
    async with opened(
        list(urls), lambda name: open_library(LibraryAddress(url=urls[name]), name=name)
    ) as libraries:
        for _ in range(runs):
            plain.append(await peers.listings([source, target], page))
            begun = time.perf_counter()
            both = libraries.require("source"), [libraries.require("target")]
            plan = await survey(route, *both, datetime.now(UTC))
            ours.append(time.perf_counter() - begun)
            assert not plan.actions, plan.actions[0].reason
    return plain, ours


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _ids(url: str) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "meltemi",
        "compare",
        url,
        "./nothing",
        "-f",
        "value",
        "-c",
        "id",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()
