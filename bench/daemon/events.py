"""How soon an image that has become active somewhere is ready elsewhere."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

from bench.curl import create
from bench.daemon.daemons import Daemon
from bench.daemon.scale import Scale
from bench.figures import MIB, Result, at_most, for_reference
from bench.replicator.services import Services, services
from lab import RabbitMQ


@contextmanager
def telling(*names: str) -> Iterator[tuple[Services, RabbitMQ]]:
    """Start services that tell a message bus what they do."""
    with TemporaryDirectory() as folder, RabbitMQ(Path(folder) / "rabbitmq") as bus:
        config = {
            "DEFAULT": {"transport_url": bus.transport_url},
            "oslo_messaging_notifications": {"driver": "messagingv2"},
        }
        with services(*names, config=config) as started:
            yield started, bus


def events(started: Services, bus: RabbitMQ, scale: Scale) -> Iterator[Result]:
    """Upload images of 1 MiB, one by one and several at once, where others are there already."""
    others = scale.images // 20
    started.fill("source", others, 1024)
    with hearing(started, bus, others) as daemon:
        yield from _measured(started.url("source"), daemon, scale)


@contextmanager
def hearing(started: Services, bus: RabbitMQ, images: int) -> Iterator[Daemon]:
    """Start a daemon that hears what the source tells; wait until so many images are ready."""
    told = {"notifications": {"transport_url": bus.transport_url}}
    libraries = {
        "source": {"url": started.url("source"), **told},
        "target": {"url": started.url("target")},
    }
    routes = {"all": {"from": "source", "to": "target", "transfers": 8}}
    with Daemon(started.folder, {}, libraries=libraries, routes=routes) as daemon:
        daemon.wait_for_log("its message bus is heard")
        daemon.wait_for_ready(images)
        daemon.wait_for_runs(1)
        yield daemon


def _measured(url: str, daemon: Daemon, scale: Scale) -> Iterator[Result]:
    def take(number: int) -> float:
        """Upload an image; give the seconds from the upload's beginning until it is ready."""
        data = bytes(512) + os.urandom(MIB - 512)
        image = create(url, f"measured {number}")
        path, kind = f"{url}/v2/images/{image}/file", {"Content-Type": "application/octet-stream"}
        # curl would wait for a second before it sends data.
        sending = Request(path, data, kind, method="PUT")  # noqa: S310 - of our own service
        begun = time.time()
        with urlopen(sending):  # noqa: S310 - the same
            pass
        return daemon.ready_at(image) - begun

    alone = [take(number) for number in range(scale.told)]
    slowest = quantiles(alone, n=20)[-1]
    yield at_most("an image of 1 MiB: 95th percentile", 2, slowest, "s", {"seconds": alone})
    yield for_reference("an image of 1 MiB: median", median(alone), "s", {})
    with ThreadPoolExecutor(scale.together) as pool:
        together = list(pool.map(take, range(scale.told, scale.told + scale.together)))
    title = f"{scale.together} images of 1 MiB at once: the last one"
    yield for_reference(title, max(together), "s", {"seconds": together})
