"""A reconciliation that finds nothing to do, against the listings that it has to read."""

import asyncio
from collections.abc import Iterator

from bench.daemon.daemons import Daemon
from bench.daemon.filling import fill_with_replicas
from bench.daemon.scale import Scale
from bench.figures import MIB, Result, at_most, ratio
from bench.replicator import peers
from bench.replicator.services import Services

TARGETS = ("one", "two", "three", "four")


def reconciliation(services: Services, scale: Scale) -> Iterator[Result]:
    """Look at everything again, several times; and the memory that this takes."""
    fill_with_replicas(services, "source", TARGETS, scale.images)
    urls = {name: services.url(name) for name in ("source", *TARGETS)}
    page = min((250, 1000), key=lambda page: asyncio.run(peers.listings(list(urls.values()), page)))
    plain, ours = [], []
    with Daemon(services.folder, urls) as daemon:
        daemon.wait_for_runs(1)
        for done in range(1, scale.runs + 1):
            plain.append(asyncio.run(peers.listings(list(urls.values()), page)))
            daemon.ask()
            run = daemon.wait_for_runs(done + 1)[0]
            assert run.ended is not None
            assert (run.result, run.planned) == ("done", 0), run
            ours.append(run.ended - run.began)
        memory = daemon.peak_memory / MIB
    name = f"{scale.images:,} images, {len(urls)} libraries, nothing to do: time against listings"
    runs = {f"listings ({page} a page)": plain, "reconciliation": ours}
    yield at_most(name, 1.3, ratio(ours, plain), "x", runs)
    yield at_most("memory of the daemon at most", 300, memory, "MiB", {"peak": [memory]})
    services.wipe(*urls)
