"""What is where: asked of the daemon, and of the libraries themselves."""

import asyncio
from collections.abc import Iterator, Sequence
from statistics import median

from bench.children import meltemi
from bench.daemon.daemons import Daemon
from bench.daemon.filling import fill_with_replicas
from bench.daemon.scale import Scale
from bench.figures import Result, at_most, for_reference, ratio, seconds
from bench.replicator import peers
from bench.replicator.services import Services


def status(services: Services, targets: Sequence[str], scale: Scale) -> Iterator[Result]:
    """Ask for every placement, list every library, and have JSON printed."""
    fill_with_replicas(services, "source", targets, scale.shown)
    urls = {name: services.url(name) for name in ("source", *targets)}
    places = scale.shown * len(targets)
    asked, listed, printed = [], [], []
    with Daemon(services.folder, urls) as daemon:
        daemon.wait_for_ready(places)

        def ask() -> None:
            found = daemon.get(f"/v1/placements?limit={places}")
            assert len(found["placements"]) == places

        for _ in range(scale.asked):
            asked.append(seconds(ask))
            listed.append(asyncio.run(peers.listings([urls[name] for name in targets], 1000)))
        for _ in range(scale.runs):
            words = ("--daemon", daemon.url, "--file", daemon.file, "-f", "json")
            printed.append(meltemi("status", *words).seconds)
    title = f"{scale.shown:,} images in {len(targets)} libraries"
    ms = {"the daemon": [1000 * one for one in asked]}
    yield at_most(f"{title}: asking the daemon", 200, median(ms["the daemon"]), "ms", ms)
    runs = {"the daemon": asked, "listings": listed}
    against = f"{title}: asking the daemon against listing the libraries"
    yield for_reference(against, ratio(asked, listed), "x", runs)
    name = "`meltemi status -f json`, from start to end"
    yield for_reference(name, median(printed), "s", {"seconds": printed})
