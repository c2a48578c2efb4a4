"""Jobs: the actions of a plan that have to be carried out together."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from meltemi.daemon.lanes import Lane
from meltemi.model.placement import Place
from meltemi.model.plan import Action
from meltemi.model.route import Route
from meltemi.replication.guard import is_removal


@dataclass(frozen=True, slots=True)
class Job:
    """What one run of a route wants done about some images that need each other.

    `lanes`, by library, are the ways that the run was made for. `account` is the project whose
    credential is used in the target, None where it is the daemon's own.
    """

    route: Route
    run: int
    actions: tuple[Action, ...]
    lanes: Mapping[str, Lane] = field(compare=False)
    account: str | None = None

    def lane(self, action: Action) -> Lane:
        """Give the way that an action takes."""
        return self.lanes[action.subject.target]

    @property
    def traffic(self) -> int:
        """Give how many bytes it moves at most."""
        return sum(action.traffic for action in self.actions)


def place_of(action: Action) -> Place:
    """Say which placement an action is about."""
    subject = action.subject
    return Place(subject.source, subject.source_id, subject.target)


def parted(actions: Sequence[Action]) -> Iterator[tuple[Action, ...]]:
    """Part the actions of a plan, removals aside, into what belongs together.

    Together is what is about one image of the source, what boots with others that are copied as
    well, and what is made of others that are.
    """
    kept = [action for action in actions if not is_removal(action)]
    arriving = {action.target_id: action.subject.source_id for action in kept}
    groups = _Groups()
    for action in kept:
        image = action.subject.source_id
        groups.join(image, image)
        for needed in action.needs:
            groups.join(image, needed)
        for base in action.bases:
            if base in arriving:
                groups.join(image, arriving[base])
    parts: dict[str, list[Action]] = defaultdict(list)
    for action in kept:
        parts[groups.head(action.subject.source_id)].append(action)
    yield from map(tuple, parts.values())


def removals_of(actions: Iterable[Action]) -> dict[str, list[Action]]:
    """Give the actions that take replicas away because their source is gone, by target."""
    removals: dict[str, list[Action]] = defaultdict(list)
    for action in actions:
        if is_removal(action):
            removals[action.subject.target].append(action)
    return removals


class _Groups:
    """Sets of images that are joined one by one."""

    def __init__(self) -> None:
        self._heads: dict[str, str] = {}

    def head(self, image: str) -> str:
        while (above := self._heads.get(image, image)) != image:
            image = above
        return image

    def join(self, one: str, other: str) -> None:
        first, second = self.head(one), self.head(other)
        self._heads[first] = second
