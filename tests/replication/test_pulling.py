"""Copies that targets fetch themselves, between libraries in memory."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import pytest

from meltemi.libraries.pulling import Way
from meltemi.model.plan import Plan
from meltemi.replication.report import Result
from tests.replication.running import DATA, carry_out, plan
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


class PullingLibrary(MemoryLibrary):
    """A library in memory that fetches from its neighbours; `pulled` is from where, and what."""

    def __init__(self, name: str, neighbours: Sequence[MemoryLibrary]) -> None:
        super().__init__(name, project=f"{name}'s")
        self._neighbours: Mapping[str, MemoryLibrary] = {n.identity: n for n in neighbours}
        self.pulled: list[tuple[str, str]] = []

    @property
    def pulls(self) -> "PullingLibrary":
        return self

    async def way_to(self, identity: str) -> Way | str:
        known = identity in self._neighbours
        return Way(identity, "public") if known else f"{identity} is no neighbour"

    async def pull(
        self,
        image_id: str,
        way: Way,
        source_id: str,
        bases: Sequence[str],
        copied: Callable[[int], None],
    ) -> None:
        assert not bases, "none of them exchanges pieces"
        data = self._neighbours[way.region].data(source_id) or b""
        self.pulled.append((way.region, source_id))

        async def pieces() -> AsyncIterator[bytes]:
            yield data

        await self.upload(image_id, len(data), pieces())
        copied(len(data))


def told(the_plan: Plan) -> dict[str, str]:
    """Give the reasons of all actions, by target."""
    return {action.subject.target: action.reason for action in the_plan.actions}


async def test_each_fetches_from_where_it_would_be_sent_from() -> None:
    source = MemoryLibrary("source", project="theirs")
    relay = PullingLibrary("relay", [source])
    near = PullingLibrary("near", [relay])
    far = PullingLibrary("far", [source])
    image = source.put(DATA)
    relay.burnt.add(image.id)  # so that it has another id there
    the_plan = await plan(source, near, relay, far, relay="relay", pull=True)
    assert told(the_plan) == {
        "relay": "it is missing; relay pulls it",
        "near": "it is missing; from the relay relay; near pulls it",
        "far": f"it is missing; from the relay relay; through here: {relay.identity} is no "
        "neighbour",
    }
    outcomes = await carry_out(the_plan, source, near, relay, far)
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    assert relay.pulled == [(source.identity, image.id)]
    [(sender, there)] = near.pulled
    assert sender == relay.identity
    assert there in relay.images
    assert far.pulled == []
    assert not source.served
    assert (near.data(image.id), far.data(image.id)) == (DATA, DATA)
