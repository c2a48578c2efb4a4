"""What one daemon counts of its work, for Prometheus: nothing that tells of single images."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from meltemi import __version__
from meltemi.daemon.state.records import Cause, Run
from meltemi.replication.report import Result

_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)


class Counters:
    """What happens in one process, leading or not; begins at 0 with it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Gauge("meltemi_build_info", "The release.", ("version",), registry=self.registry).labels(
            __version__
        ).set(1)
        self.leader = Gauge(
            "meltemi_leader", "1 where this daemon leads, else 0.", registry=self.registry
        )
        self._reload_succeeded = Gauge(
            "meltemi_configuration_reload_success",
            "1 where the configuration was accepted that was read last, else 0.",
            registry=self.registry,
        )
        self._reloaded = Gauge(
            "meltemi_configuration_reload_timestamp_seconds",
            "When the configuration was accepted that is in force.",
            registry=self.registry,
        )
        self.state_errors = Counter(
            "meltemi_state_errors",
            "Failures of the database in which the state is.",
            registry=self.registry,
        )
        self._requests = Counter(
            "meltemi_requests_heard",
            "What was asked of the leader, by events and by people.",
            ("cause",),
            registry=self.registry,
        )
        for cause in (Cause.EVENT, Cause.REQUEST, Cause.RETRY):
            self._requests.labels(cause)
        self._runs = Counter(
            "meltemi_runs",
            "Looks at a route that have ended.",
            ("route", "cause", "result"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "meltemi_run_duration_seconds",
            "From the beginning of a look to when all targets were read.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._moved = Counter(
            "meltemi_moved_bytes",
            "Bytes that crossed the wire for images.",
            ("route", "library"),
            registry=self.registry,
        )
        self._actions = Counter(
            "meltemi_actions",
            "What was done about images, by how it ended.",
            ("route", "library", "result"),
            registry=self.registry,
        )

    def knows(self, route: str, library: str) -> None:
        """Begin to count for a route and one of its targets, at 0."""
        self._moved.labels(route, library)
        for result in Result:
            self._actions.labels(route, library, result)
        for cause in Cause:
            for ended in ("done", "failed"):
                self._runs.labels(route, cause, ended)
        self._seconds.labels(route)

    def reloaded(self, when: float) -> None:
        """Take note that a configuration is in force since a moment."""
        self._reload_succeeded.set(1)
        self._reloaded.set(when)

    def refused(self) -> None:
        """Take note that a configuration was refused."""
        self._reload_succeeded.set(0)

    def heard(self, cause: Cause) -> None:
        """Count a request."""
        self._requests.labels(cause).inc()

    def ran(self, run: Run) -> None:
        """Count a run that has ended."""
        self._runs.labels(run.route, run.cause, run.result).inc()
        self._seconds.labels(run.route).observe(max((run.ended or run.began) - run.began, 0))

    def moved(self, route: str, library: str, count: int) -> None:
        """Count bytes."""
        self._moved.labels(route, library).inc(count)

    def acted(self, route: str, library: str, result: Result) -> None:
        """Count an action that has ended."""
        self._actions.labels(route, library, result).inc()
