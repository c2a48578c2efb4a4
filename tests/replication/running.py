"""Planning and carrying out routes between libraries in memory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from meltemi.errors import InterruptedTransfer
from meltemi.model.image import Image
from meltemi.model.plan import Action, Kind, Plan, Standing
from meltemi.model.provenance import read_provenance
from meltemi.model.route import Limits, Policy, Route, Selection
from meltemi.replication.report import Outcome, Reporter, Result
from meltemi.replication.run import Libraries, plan_route, run_plan
from meltemi.replication.survey import survey
from tests.support.memory import MemoryLibrary

BLOCK = 16
"""Bytes of a block, so that a few hundred bytes are many blocks."""

DATA = Random(2).randbytes(40 * BLOCK + 5)
BROKEN = InterruptedTransfer("the connection broke")


@dataclass
class Recorder(Reporter):
    """Remembers what it is told."""

    order: list[tuple[str, str]] = field(default_factory=list)
    bytes: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    finished_in_order: list[Outcome] = field(default_factory=list)

    def started(self, action: Action) -> None:
        """Remember the order."""
        self.order.append((action.subject.target, action.subject.source_id))

    def moved(self, action: Action, count: int) -> None:
        """Sum up."""
        self.bytes[action.subject.target, action.subject.source_id] += count

    def finished(self, outcome: Outcome) -> None:
        """Remember the end."""
        self.finished_in_order.append(outcome)


def route(
    source: MemoryLibrary,
    targets: Sequence[MemoryLibrary],
    selection: Selection | None = None,
    called: str = "route",
    relay: str | None = None,
    **policy: Any,
) -> Route:
    """Make a route with a policy of these attributes."""
    names = tuple(target.name for target in targets)
    the_selection = selection or Selection()
    return Route(called, source.name, names, the_selection, Policy(**policy), relay=relay)


def libraries(*all_of_them: MemoryLibrary) -> Libraries:
    """Take libraries for opened."""
    return Libraries({library.name: library for library in all_of_them}, {})


async def plan(
    source: MemoryLibrary,
    *targets: MemoryLibrary,
    selection: Selection | None = None,
    now: datetime | None = None,
    **policy: Any,
) -> Plan:
    """Plan a route, at another time where one is given."""
    the_route = route(source, targets, selection, **policy)
    if now is not None:
        return await survey(the_route, source, targets, now.astimezone(UTC))
    return await plan_route(the_route, libraries(source, *targets))


async def carry_out(
    the_plan: Plan,
    *all_of_them: MemoryLibrary,
    reporter: Reporter | None = None,
    transfers: int = 4,
    max_delete: int = 10,
    checked: bool = False,
) -> list[Outcome]:
    """Carry out a plan."""
    return await run_plan(
        the_plan,
        libraries(*all_of_them),
        reporter or Recorder(),
        limits=Limits(transfers, (), BLOCK),
        max_delete=max_delete,
        checked=checked,
    )


async def sync(
    source: MemoryLibrary,
    *targets: MemoryLibrary,
    selection: Selection | None = None,
    now: datetime | None = None,
    **policy: Any,
) -> list[Outcome]:
    """Plan and carry out."""
    the_plan = await plan(source, *targets, selection=selection, now=now, **policy)
    return await carry_out(
        the_plan, source, *targets, max_delete=policy.get("max_delete", Policy().max_delete)
    )


async def synced(source: MemoryLibrary, *targets: MemoryLibrary, **policy: Any) -> None:
    """Plan and carry out without any trouble, after which nothing is left to do."""
    for outcome in await sync(source, *targets, **policy):
        assert outcome.result is Result.DONE, outcome.detail
    again = await plan(source, *targets, **policy)
    assert again.actions == ()


def results(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], Result]:
    """Give how each image ended at each target."""
    return {(o.action.subject.target, o.action.subject.source_id): o.result for o in outcomes}


def kinds(the_plan: Plan) -> list[Kind]:
    """Name the kinds of a plan's actions."""
    return sorted(action.kind for action in the_plan.actions)


def standings(the_plan: Plan) -> dict[str, Standing]:
    """Give the notes of a plan by source image."""
    return {note.subject.source_id: note.standing for note in the_plan.notes}


def own_properties(image: Image) -> dict[str, str]:
    """Give an image's properties without the mark of origin."""
    return {k: v for k, v in image.properties.items() if not k.startswith("meltemi_")}


def replicas(source: MemoryLibrary, target: MemoryLibrary) -> dict[str, list[Image]]:
    """Give the images at the target that say they are replicas, by their sources' ids."""
    found: dict[str, list[Image]] = defaultdict(list)
    for image in target.images.values():
        origin = read_provenance(image)
        if origin is not None and origin.library == source.identity:
            found[origin.source_id].append(image)
    return found
