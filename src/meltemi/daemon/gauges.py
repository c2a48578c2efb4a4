"""How things stand with the daemon that leads, told when Prometheus asks."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from meltemi.daemon.census import Way
from meltemi.daemon.keeper import Keeper
from meltemi.daemon.lanes import Lane
from meltemi.model.placement import Observed

_WAY: Final = ("route", "library")

_OF_LANES: Final[dict[str, tuple[str, Callable[[Lane], float]]]] = {
    "meltemi_library_up": (
        "1 where the target, and the source, answered when they were asked last, else 0.",
        lambda lane: not lane.failures,
    ),
    "meltemi_library_failures": (
        "How many times in a row the target, or the source, has failed.",
        lambda lane: lane.failures,
    ),
    "meltemi_library_backoff_seconds": (
        "How long it is left alone yet, since it failed.",
        lambda lane: lane.left_alone,
    ),
    "meltemi_paused": (
        "1 where the route, or the target, is paused, else 0.",
        lambda lane: lane.is_paused,
    ),
    "meltemi_transfers": ("Images that are under way.", lambda lane: lane.load),
}


class Gauges(Collector):
    """What only the daemon that leads knows: of others, nothing is told."""

    def __init__(self, keeper: Callable[[], Keeper | None]) -> None:
        self._keeper = keeper

    def describe(self) -> Iterator[Metric]:
        """Say nothing beforehand."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Tell how things stand now."""
        keeper = self._keeper()
        if keeper is None:
            return
        yield GaugeMetricFamily(
            "meltemi_reconcile_seconds",
            "How often every route is looked at, whatever happens.",
            value=keeper.reconcile,
        )
        yield from _of_images(keeper)
        yield from _of_lanes(keeper)


def _of_images(keeper: Keeper) -> Iterator[Metric]:
    now = time.time()
    placements = _family("placements", "Images in a library, by what is observed.", "observed")
    lag = _family("lag_seconds", "How long the image that is furthest behind has been so.")
    behind = _family("behind", "Images that are wanted, and not there as they should be.")
    late = _family("late", "Images that are behind for longer than `within` of the route.")
    queued = _family("queued", "Actions that have been planned, and have not begun.")
    backlog = keeper.backlog()
    for lane in keeper.lanes:
        way = Way(lane.route.name, lane.library)
        population = keeper.census[way]
        for observed in Observed:
            placements.add_metric([*way, observed], population.observed[observed])
        lag.add_metric(way, population.lag(now))
        behind.add_metric(way, len(population.behind))
        if lane.route.within is not None:
            late.add_metric(way, population.late(now, lane.route.within.total_seconds()))
        queued.add_metric(way, max(backlog[way] - lane.load, 0))
    yield from (placements, lag, behind, late, queued)


def _of_lanes(keeper: Keeper) -> Iterator[Metric]:
    for name, (help_, figure) in _OF_LANES.items():
        family = GaugeMetricFamily(name, help_, labels=_WAY)
        for lane in keeper.lanes:
            family.add_metric([lane.route.name, lane.library], figure(lane))
        yield family
    looked = _family("looked_timestamp_seconds", "When the target was read last, as it should be.")
    for lane in keeper.lanes:
        if lane.looked is not None:
            looked.add_metric([lane.route.name, lane.library], lane.looked)
    yield looked


def _family(name: str, help_: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"meltemi_{name}", help_, labels=[*_WAY, *labels])
