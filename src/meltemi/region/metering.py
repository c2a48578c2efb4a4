"""What a region counts of its work: nothing that tells of single images, projects or users.

Each process counts by itself, into files in one folder where an exposition is wanted; whichever
process is asked sums them up.
"""

import os
import shutil
from pathlib import Path
from typing import Final

_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_OTHER: Final = "other"
"""What labels say in place of what a stranger may choose freely."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120, 600)


class Meter:
    """The counters of one process."""

    def __init__(self) -> None:
        # Imported late: it looks at its variable only then, to see whether others count too.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram  # noqa: PLC0415

        registry = CollectorRegistry()
        self._requests = Counter(
            "meltemi_requests",
            "Requests that were answered; of status 499, those whose sender went away.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "meltemi_request_duration_seconds",
            "From a request's head to the end of its handling.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._received = Counter(
            "meltemi_received_bytes", "Bytes of requests' bodies.", registry=registry
        )
        self._sent = Counter("meltemi_sent_bytes", "Bytes of answers.", registry=registry)
        self.uploads = Gauge(
            "meltemi_uploads_in_flight",
            "Images that are being sent data.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.queued_again = Counter(
            "meltemi_images_queued_again",
            "Images that lost whoever was filling them.",
            registry=registry,
        )

    def count(
        self,
        method: str,
        route: str | None,
        status: int,
        *,
        seconds: float,
        received: int,
        sent: int,
    ) -> None:
        """Count a request; `route` is a path with names in place of values, None for no known one.

        `received` and `sent` are bytes.
        """
        method = method if method in _METHODS else _OTHER
        route = route or _OTHER
        self._seconds.labels(method, route).observe(seconds)
        self._received.inc(received)
        self._sent.inc(sent)
        self._requests.labels(method, route, str(status)).inc()


def count_into(folder: Path) -> None:
    """Let every Meter that this process and its children make from now on count into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def summed(folder: Path) -> bytes:
    """Sum what all processes have counted, in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def without(process: int, folder: Path) -> None:
    """Take out what a process that is no more was at the moment; what it did stays counted."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

    mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
