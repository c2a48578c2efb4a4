"""How soon an image that has become active somewhere is ready elsewhere."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

from bench.curl import create, upload
from bench.daemon.running import Running, running
from bench.daemon.scale import Scale
from bench.figures import MIB, Result, at_most, for_reference
from bench.replicator.services import Services, services
from lab import RabbitMQ


def events(folder: Path, scale: Scale) -> Iterator[Result]:
    """Upload images of 1 MiB, one by one and several at once, to a Glance that tells of them."""
    with RabbitMQ(folder / "rabbitmq") as bus:
        config = {
            "DEFAULT": {"transport_url": bus.transport_url},
            "oslo_messaging_notifications": {"driver": "messagingv2"},
        }
        with services("source", "target", config=config) as started:
            started.fill("source", scale.there, 1024)
            told = {"notifications": {"transport_url": bus.transport_url}}
            configuration = {
                "libraries": {
                    "source": {"url": started.url("source"), **told},
                    "target": {"url": started.url("target")},
                },
                "routes": {"all": {"from": "source", "to": "target", "transfers": 8}},
            }
            with running(folder / "daemon", configuration) as daemon:
                daemon.until_said("its message bus is heard")
                daemon.until_idle()
                yield from _measured(started, daemon, scale)


def _measured(started: Services, daemon: Running, scale: Scale) -> Iterator[Result]:
    def take(number: int) -> float:
        """Upload an image; give the seconds from the upload's beginning until it is ready."""
        file = started.folder / f"data-{number}"
        file.write_bytes(bytes(512) + os.urandom(MIB - 512))
        image = create(started.url("source"), f"measured {number}")
        begun = time.time()
        upload(started.url("source"), image, file)
        return daemon.ready_at(image) - begun

    alone = [take(number) for number in range(scale.told)]
    slowest = quantiles(alone, n=20)[-1]
    runs = {"seconds": alone}
    yield at_most("an image of 1 MiB, 95th percentile", 2, slowest, "s", runs)
    yield for_reference("an image of 1 MiB, median", median(alone), "s", {})
    with ThreadPoolExecutor(scale.together) as pool:
        together = list(pool.map(take, range(scale.told, scale.told + scale.together)))
    title = f"{scale.together} images of 1 MiB at once, the last one"
    yield for_reference(title, max(together), "s", {"seconds": together})
