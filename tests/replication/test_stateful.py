"""Anything may happen to a source and two targets, in any order: what must hold all the same."""

import asyncio
from collections.abc import Coroutine
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import stamina
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from meltemi.errors import InterruptedTransfer, QuotaError, UnreachableError
from meltemi.model.image import Image
from meltemi.model.plan import Plan, Standing
from meltemi.model.provenance import read_provenance
from meltemi.model.route import OnConflict, OnSourceDeletion
from meltemi.replication import delivery
from meltemi.replication.report import Result
from tests.replication.running import BLOCK, carry_out, plan, replicas
from tests.support.memory import EndedEarlyError, MemoryLibrary, full_hashes, no_hashes

NAMES = ["debian", "ubuntu", None]
VALUES = ["1", "2", "3"]
EDITS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(NAMES),
        "tags": st.frozensets(st.sampled_from("abc")),
        "properties": st.dictionaries(st.sampled_from("pqr"), st.sampled_from(VALUES)),
        "visibility": st.sampled_from(["private", "shared", "community", "public"]),
        "protected": st.booleans(),
        "os_hidden": st.booleans(),
        "min_disk": st.integers(0, 3),
        "status": st.sampled_from(["active", "deactivated"]),
    },
)
REQUESTS = ["create", "upload", "update", "show", "members", "add_member", "remove_member"]
BROKEN = [InterruptedTransfer("broke"), UnreachableError("gone"), QuotaError("full")]


class Replication(RuleBasedStateMachine):
    """Random changes and failures around one route."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        stamina.set_testing(True, attempts=3, cap=True)
        self.random = Random(7)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(delivery, "uuid", SimpleNamespace(uuid4=self.fresh))
        self.data: dict[str, bytes] = {}
        self.foreign: dict[tuple[str, str], Image] = {}
        self.added: dict[tuple[str, str], str] = {}

    @initialize(
        on_conflict=st.sampled_from(list(OnConflict)),
        on_deletion=st.sampled_from(list(OnSourceDeletion)),
        members=st.booleans(),
        record=st.sampled_from([full_hashes, no_hashes]),
    )
    def begin(self, on_conflict: Any, on_deletion: Any, members: bool, record: Any) -> None:
        """Choose the route."""
        self.source = MemoryLibrary("source", project="theirs", record=record, piece=11, page=2)
        self.targets = [MemoryLibrary(f"target{n}", project="ours", page=3) for n in range(2)]
        self.policy = {
            "on_conflict": on_conflict,
            "on_source_deletion": on_deletion,
            "members": members,
            "max_delete": 100,
        }

    def fresh(self) -> UUID:
        """Choose an id."""
        return UUID(int=self.random.getrandbits(128), version=4)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something to its end."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 120))

    def teardown(self) -> None:
        """Undo what was set."""
        self.patch.undo()
        stamina.set_testing(False)
        self.loop.close()

    # The source

    @rule(size=st.integers(0, 4 * BLOCK), edit=EDITS)
    def put(self, size: int, edit: dict[str, Any]) -> None:
        """Put an image at the source."""
        data = bytes([len(self.data) + 1]) * size
        image = self.source.put(data, **{"id": str(self.fresh()), "name": "debian", **edit})
        self.data[image.id] = data

    @precondition(lambda self: self.source.images)
    @rule(pick=st.randoms(use_true_random=False), edit=EDITS)
    def edit(self, pick: Any, edit: dict[str, Any]) -> None:
        """Change an image of the source."""
        self.source.edit(pick.choice(sorted(self.source.images)), **edit)

    @precondition(lambda self: self.source.images)
    @rule(
        pick=st.randoms(use_true_random=False),
        members=st.dictionaries(st.sampled_from("xyz"), st.sampled_from(["pending", "accepted"])),
    )
    def share(self, pick: Any, members: dict[str, str]) -> None:
        """Change the members of an image of the source."""
        self.source.share(pick.choice(sorted(self.source.images)), **members)

    @precondition(lambda self: self.source.images)
    @rule(pick=st.randoms(use_true_random=False))
    def delete(self, pick: Any) -> None:
        """Delete an image of the source."""
        self.source.remove(pick.choice(sorted(self.source.images)))

    @precondition(lambda self: len(self.source.images) > 1)
    @rule(pick=st.randoms(use_true_random=False))
    def boots_with(self, pick: Any) -> None:
        """Let an image need another, perhaps itself."""
        one, other = (pick.choice(sorted(self.source.images)) for _ in range(2))
        self.source.edit(one, properties={"kernel_id": other})

    # The targets

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES), data=st.binary(max_size=9))
    def put_foreign(self, which: int, name: str | None, data: bytes) -> None:
        """Put a tenant's image at a target."""
        target = self.targets[which]
        image = target.put(data, id=str(self.fresh()), name=name, owner="tenant")
        self.foreign[target.name, image.id] = image

    @precondition(lambda self: any(i not in t.images for t in self.targets for i in self.data))
    @rule(which=st.integers(0, 1), pick=st.randoms(use_true_random=False), burn=st.booleans())
    def take_id(self, which: int, pick: Any, burn: bool) -> None:
        """Take or burn an id of the source at a target."""
        target = self.targets[which]
        free = sorted(self.data.keys() - target.images.keys() - target.burnt)
        if not free:
            return
        image_id = pick.choice(free)
        if burn:
            target.burnt.add(image_id)
            return
        image = target.put(b"taken", id=image_id, owner="tenant")
        self.foreign[target.name, image.id] = image

    @rule(which=st.integers(0, 1), pick=st.randoms(use_true_random=False))
    def add_own(self, which: int, pick: Any) -> None:
        """Add a property to a replica, as the target's operator."""
        target = self.targets[which]
        with_data = [i for found in replicas(self.source, target).values() for i in found]
        if with_data:
            image = pick.choice(sorted(with_data, key=lambda image: image.id))
            target.edit(image.id, properties={**image.properties, "own": "mine"})
            self.added[target.name, image.id] = "mine"

    # Faults and runs

    @rule(
        where=st.integers(0, 2),
        request=st.sampled_from([*REQUESTS, "read"]),
        error=st.sampled_from(BROKEN),
        at=st.none() | st.integers(0, 4 * BLOCK),
        after=st.booleans(),
        times=st.integers(1, 4),
    )
    def break_something(  # noqa: PLR0917 - hypothesis gives them by name
        self, where: int, request: str, error: Exception, at: int | None, after: bool, times: int
    ) -> None:
        """Let one of the next requests fail."""
        library = [self.source, *self.targets][where]
        if request == "read":
            library.fail("read", EndedEarlyError() if after else error, at=at or 0, times=times)
        elif request == "upload" and at is not None:
            library.fail("upload", error, at=at, times=times)
        else:
            library.fail(request, error, after=after, times=times)

    @rule(transfers=st.integers(1, 4), checked=st.booleans())
    def sync(self, transfers: int, checked: bool) -> None:
        """Run with whatever fails."""
        self.run(self._sync(transfers, checked))

    async def _sync(self, transfers: int, checked: bool) -> Plan:
        try:
            the_plan = await plan(self.source, *self.targets, **self.policy)
        except (InterruptedTransfer, UnreachableError, QuotaError):
            return Plan()
        await carry_out(
            the_plan,
            self.source,
            *self.targets,
            transfers=transfers,
            max_delete=100,
            checked=checked,
        )
        return the_plan

    @rule()
    def sync_undisturbed(self) -> None:
        """Run without faults, to rest: what is left is told and meant."""
        for library in (self.source, *self.targets):
            library.faults.clear()

        async def until_quiet() -> None:
            for _ in range(4):
                found = await plan(self.source, *self.targets, **self.policy)
                if not found.actions:
                    break
                outcomes = await carry_out(found, self.source, *self.targets, max_delete=100)
                for outcome in outcomes:
                    assert outcome.result is Result.DONE, outcome
            assert found.actions == (), found.actions
            for note in found.notes:
                assert note.standing in (Standing.LEFT_OUT, Standing.CONFLICT), note
            self.arrived(found)

        self.run(until_quiet())

    def arrived(self, found: Plan) -> None:
        """See that every source image is there, complete, or told of."""
        for target in self.targets:
            there = replicas(self.source, target)
            told = {n.subject.source_id for n in found.notes if n.subject.target == target.name}
            for image in self.source.images.values():
                if image.id in told:
                    continue
                mine = there[image.id]
                assert len(mine) == 1, (image, mine)
                replica = mine[0]
                assert target.data(replica.id) == self.data[image.id]
                assert replica.has_data
                origin = read_provenance(replica)
                assert origin is not None
                assert not origin.at.startswith("claimed")

    # What always holds

    @invariant()
    def nothing_false_is_ever_active(self) -> None:
        """Show that data is the source's, and was closed to others until it was complete."""
        for target in getattr(self, "targets", ()):
            for source_id, found in replicas(self.source, target).items():
                assert len(found) == 1, "a second replica"
                for image in found:
                    closed = True
                    for state in target.states[image.id]:
                        if state.has_data:
                            assert target.data(image.id) == self.data[source_id]
                            closed = False
                        if closed:
                            assert state.visibility == "private"
                            assert not state.protected

    @invariant()
    def nothing_of_others_changes(self) -> None:
        """Keep images of tenants as they were, and what an operator added."""
        for target in getattr(self, "targets", ()):
            for (name, image_id), image in self.foreign.items():
                if name == target.name:
                    assert target.images[image_id] == image
            for (name, image_id), value in self.added.items():
                if name == target.name and image_id in target.images:
                    assert target.images[image_id].properties["own"] == value

    @invariant()
    def nothing_is_deleted_to_clean_up(self) -> None:
        """Delete only what the source deleted, and only where the route says so."""
        for target in getattr(self, "targets", ()):
            deleted = {i for kind, i in target.requests if kind == "delete"}
            for image_id in deleted & target.burnt:
                origin = read_provenance(target.states[image_id][-1])
                assert origin is not None
                assert origin.source_id not in self.source.images
                assert self.policy["on_source_deletion"] is OnSourceDeletion.DELETE


TestReplication = Replication.TestCase
TestReplication.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
