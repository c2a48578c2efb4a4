"""What it costs the daemon that many watch it."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from itertools import count, cycle
from statistics import median
from typing import Final

import aiohttp

from bench.daemon.daemons import Daemon
from bench.daemon.events import hearing
from bench.daemon.filling import fill_with_replicas
from bench.daemon.scale import Scale
from bench.figures import Result, Runs, at_most, for_reference
from bench.replicator.services import Services
from lab import RabbitMQ
from meltemi.daemon.client import Client, TokenOfOurs

_PATCH: Final = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def watchers(started: Services, bus: RabbitMQ, scale: Scale) -> Iterator[Result]:
    """Have images change all the time, and take the daemon's CPU with watchers and without."""
    images = scale.images // 20
    fill_with_replicas(started, "source", ["target"], images)
    with hearing(started, bus, images) as daemon:
        runs, rates = asyncio.run(_measured(started.url("source"), daemon, scale))
    cost = median(runs["with watchers"]) - median(runs["without"])
    yield at_most(f"{scale.watch} watchers: CPU of the daemon, of a core", 10, cost, "%", runs)
    title = "changes of placements a second meanwhile"
    yield for_reference(title, median(rates), "a second", {"changes": rates})


async def _measured(url: str, daemon: Daemon, scale: Scale) -> tuple[Runs, Sequence[float]]:
    """Give the percents of a core that the daemon took, and the changes a second."""
    runs: dict[str, list[float]] = {"without": [], "with watchers": []}
    rates = []
    async with asyncio.TaskGroup() as tasks:
        changing = tasks.create_task(_change(url, scale.changed))
        for _ in range(scale.runs):
            for watching, shares in zip((0, scale.watch), runs.values(), strict=True):
                seen = [0] * watching
                watched = [tasks.create_task(_watch(daemon, seen, i)) for i in range(watching)]
                await _until_seen(daemon, seen)
                first, used, begun = daemon.last_change, daemon.cpu, time.perf_counter()
                await asyncio.sleep(scale.seconds)
                took = time.perf_counter() - begun
                shares.append(100 * (daemon.cpu - used) / took)
                rates.append((daemon.last_change - first) / took)
                await _until_seen(daemon, seen)
                await _end(*watched)
        await _end(changing)
    return runs, rates


async def _change(url: str, rate: int) -> None:
    """Change one image of a service after the other, so many a second, for ever."""
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.get(f"{url}/v2/images?limit=1000") as answer:
            ids = [image["id"] for image in (await answer.json())["images"]]
        begun = time.monotonic()
        for number, image in zip(count(1), cycle(ids)):
            body = [{"op": "replace", "path": "/os_distro", "value": f"debian {number}"}]
            path = f"{url}/v2/images/{image}"
            async with session.patch(path, json=body, headers=_PATCH):
                pass
            await asyncio.sleep(begun + number / rate - time.monotonic())


async def _watch(daemon: Daemon, seen: list[int], one: int) -> None:
    """Watch as `meltemi status --watch` does; note the number of the latest change."""
    async with (
        Client(daemon.url, TokenOfOurs(daemon.token), tls=True) as client,
        aclosing(client.events({})) as events,
    ):
        async for event in events:
            if event.kind == "change":
                seen[one] = event.data["id"]


async def _until_seen(daemon: Daemon, seen: Sequence[int]) -> None:
    """Wait until every watcher has seen the change that is the latest one now."""
    latest = daemon.last_change
    while min(seen, default=latest) < latest:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
