"""Planning over images that need nothing."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from bench.children import meltemi
from bench.figures import Result, at_most, ratio
from bench.replicator import peers
from bench.replicator.scale import Scale
from bench.replicator.services import Services
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress
from meltemi.model.route import Route
from meltemi.replication.run import opened
from meltemi.replication.survey import survey


def unchanged(services: Services, scale: Scale) -> Iterator[Result]:
    """Planning over images that are all in sync, against the two listings at once."""
    source, target = services.url("source"), services.url("one")
    properties = {"hw_disk_bus": "virtio", "os_distro": "debian", "tags": ["bench"]}
    services.fill("source", scale.listed, 16, **properties)
    meltemi("livecopy", source, target)
    page = min(
        (100, 250, 500, 1000),
        key=lambda page: asyncio.run(peers.listings([source, target], page)),
    )
    plain, ours = asyncio.run(_plan_runs(source, target, page, scale.runs * 2))
    name = f"{scale.listed} unchanged images: time against both listings ({page} a page)"
    share = ratio(ours, plain)
    yield at_most(name, 1.2, share, "x", {"listings": plain, "ours": ours})
    services.wipe("source", "one")


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
