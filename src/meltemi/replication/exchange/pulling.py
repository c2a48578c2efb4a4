"""Copies that the target fetches from the source itself, so that no data passes through here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from meltemi.libraries.base import Library
from meltemi.libraries.pulling import Pulling, Pulls, Way
from meltemi.model.plan import Action, Kind, Plan
from meltemi.model.task import CARRIED


@dataclass(frozen=True, slots=True)
class ByPull:
    """How one image, of this id at its sender, is fetched by one target."""

    action: Action
    sender: Library
    image_id: str
    pulls: Pulls
    way: Way

    async def brought(self) -> Mapping[str, str]:
        """Give the properties that come along with the data, whatever the image is to have."""
        properties = (await self.sender.show(self.image_id)).properties
        return {name: value for name, value in properties.items() if name.startswith(CARRIED)}

    async def run(self, target_id: str, moved: Callable[[int], None]) -> None:
        """Have it fetched, to the end.

        `moved` is told what crosses the wire between both: as far as can be known from here.
        """
        told = 0

        def copied(size: int) -> None:
            nonlocal told
            share = self.action.traffic * min(size, self.action.bytes) // self.action.bytes
            moved(share - told)
            told = share

        try:
            await self.pulls.pull(target_id, self.way, self.image_id, self.action.bases, copied)
        except BaseException:
            moved(-told)
            raise
        copied(self.action.bytes)


async def by_pull(action: Action, sender: Library, target: Library, image_id: str) -> ByPull | str:
    """Find out how a target fetches an image from its sender, or say in a word why it does not."""
    if not isinstance(target, Pulling):
        return f"{target.name} is no Image service"
    way = await target.pulls.way_to(sender.identity)
    return way if isinstance(way, str) else ByPull(action, sender, image_id, target.pulls, way)


async def pulled(plan: Plan, source: Library, targets: Sequence[Library]) -> Plan:
    """Let targets fetch all that is to be copied, and say of each copy whether they can."""
    actions = list(plan.actions)
    senders = {library.name: library for library in (source, *targets)}
    for target in targets:
        numbers = [n for n, action in enumerate(actions) if _sends(action, target)]
        if not numbers:
            continue
        first = actions[numbers[0]]  # what one library gets, one sends
        found = await by_pull(first, senders[first.sender], target, first.subject.source_id)
        can = isinstance(found, ByPull)
        why = f"{target.name} pulls it" if can else f"through here: {found}"
        for number in numbers:
            action = actions[number]
            actions[number] = replace(action, reason=f"{action.reason}; {why}", pull=can)
    return replace(plan, actions=tuple(actions))


def _sends(action: Action, target: Library) -> bool:
    return action.kind is Kind.COPY and action.bytes > 0 and action.subject.target == target.name
