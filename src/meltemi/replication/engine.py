"""Carrying out a plan: copies shared between targets, changes, and removals at the very end."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from meltemi.errors import (
    BusyError,
    ImageError,
    MeltemiError,
    StalePlanError,
    VanishedError,
)
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import Hashes, state_digest
from meltemi.model.plan import Action, Kind, Plan, Relay
from meltemi.model.provenance import timestamp
from meltemi.model.route import Limits
from meltemi.replication.delivery import Delivery
from meltemi.replication.exchange.comparing import Ends, meet
from meltemi.replication.exchange.pulling import by_pull
from meltemi.replication.exchange.sending import BATCHES, ByPieces
from meltemi.replication.fanout import FanOut, Held, Subscription
from meltemi.replication.guard import ABSENT, is_removal, judged
from meltemi.replication.limits import Bandwidth, Jointly, Links
from meltemi.replication.reading import Reading
from meltemi.replication.report import Outcome, Reporter, Result

_log = logging.getLogger(__name__)

Slot = Callable[[], AbstractAsyncContextManager[None]]
"""Gives what is entered as often at once as images may be under way to a target."""

_ENDINGS = {StalePlanError: Result.STALE, BusyError: Result.SKIPPED}


@dataclass(slots=True)
class _Account:
    """The bytes of a copy that crossed the wire, and why it went otherwise than was planned."""

    wire: int = 0
    whole: str = ""
    through: str = ""


class Engine:
    """Carries out the plan of one route, or a saved plan.

    `max_delete` is how many replicas it may take away, as `judged` counts them. With `checked`,
    both images of every action are held against the plan's digests just before acting. `slots`, by
    target, and `bandwidth` are given where several share what `limits` allows; `links` are crossed
    on the way.
    """

    def __init__(
        self,
        libraries: Mapping[str, Library],
        reporter: Reporter,
        *,
        limits: Limits,
        max_delete: int,
        checked: bool = False,
        slots: Mapping[str, Slot] | None = None,
        bandwidth: Bandwidth | None = None,
        links: Links | None = None,
    ) -> None:
        self._libraries = libraries
        self._reporter = reporter
        self._transfers = limits.transfers
        self._bandwidth = bandwidth or Bandwidth(limits.bandwidth)
        self._links = links or Links()
        self._block = limits.block
        self._max_delete = max_delete
        self._checked = checked
        self._slots = slots or {name: _slots(limits.transfers) for name in libraries}
        self._queued: dict[str, int] = defaultdict(int)
        self._freed = asyncio.Event()
        self._down: dict[str, MeltemiError] = {}
        self._arrivals: dict[tuple[str, str], asyncio.Future[str | None]] = {}
        self._relayed: dict[tuple[str, str], asyncio.Future[Relay | None]] = {}
        self._outcomes: list[Outcome] = []
        self._coming: set[tuple[str, str]] = set()
        self._held = Held()
        self._batches = asyncio.Semaphore(BATCHES)
        self._accounts: dict[int, _Account] = defaultdict(_Account)

    async def run(self, plan: Plan, *, failed: bool = False) -> list[Outcome]:
        """Do everything; give one outcome per action. A failed image does not stop the others.

        `failed` says that something went wrong before, so that nothing may be removed.
        """
        removals = [action for action in plan.actions if is_removal(action)]
        copies = [action for action in plan.actions if action.sends]
        replaced = {
            (action.subject.target, action.subject.source_id): action
            for action in plan.actions
            if action.kind is Kind.HIDE and not is_removal(action)
        }
        changes = [action for action in plan.actions if not action.sends and not is_removal(action)]
        direct = [action for action in changes if action.kind is not Kind.HIDE]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._copy_all(copies))
            for action in direct:
                tasks.create_task(self._change(action))
        done = {
            (outcome.action.subject.target, outcome.action.subject.source_id)
            for outcome in self._outcomes
            if outcome.action.kind is Kind.COPY and outcome.result is Result.DONE
        }
        for place, action in replaced.items():
            if place in done:
                await self._change(action)
            else:
                self._skip(action, "what was to take its place did not arrive")
        await self._remove_all(removals, failed=failed or bool(plan.errors))
        return self._outcomes

    async def _copy_all(self, actions: Sequence[Action]) -> None:
        """Copy, each source image read once for all its targets, the smallest first.

        A group starts as soon as one of its targets has room, so a slow target delays no other;
        what comes from a relay, once it is there.
        """
        loop = asyncio.get_running_loop()
        awaited = {(a.relay.library, a.subject.source_id) for a in actions if a.relay}
        needed = {image_id for action in actions for image_id in action.needs}
        # What boots with others is not waited for itself: two may name each other.
        first = needed & {action.subject.source_id for action in actions if not action.needs}
        groups: dict[tuple[str, ...], list[Action]] = defaultdict(list)
        for action in actions:
            subject = action.subject
            alone = (subject.target,) if _is_alone(action) else ()
            groups[action.sender, subject.source, subject.source_id, *alone].append(action)
            place = subject.target, subject.source_id
            if subject.source_id in first:
                self._arrivals[place] = loop.create_future()
            if place in awaited:
                self._relayed[place] = loop.create_future()
        unstarted = set(self._arrivals)
        pending = sorted(
            groups.values(),
            key=lambda g: (
                g[0].subject.source_id not in first,
                g[0].traffic,
                g[0].subject.source_id,
            ),
        )
        # What is there, and has but to be verified, is a base already.
        self._coming = {(a.subject.target, a.target_id) for a in actions if a.traffic}
        async with asyncio.TaskGroup() as tasks:
            while pending:
                self._freed.clear()
                ready = (group for group in pending if self._is_ready(group, unstarted))
                free = (group for group in ready if not self._lacks_bases(group[0]))
                group = next((group for group in free if self._has_room(group)), None)
                if group is None and not any(self._queued.values()):
                    # In a plan that was edited, two may be made of each other.
                    group = next(g for g in pending if self._is_ready(g, unstarted))
                if group is None:
                    await self._freed.wait()
                    continue
                pending.remove(group)
                for action in group:
                    unstarted.discard((action.subject.target, action.subject.source_id))
                    self._queued[action.subject.target] += 1
                tasks.create_task(self._copy_group(group))

    def _is_ready(self, group: Sequence[Action], unstarted: Container[tuple[str, str]]) -> bool:
        """Say whether nothing has to start, or to arrive at the relay, before a group."""
        # Who waits for another in a slot must be behind it in the queue for that slot.
        if any((a.subject.target, needed) in unstarted for a in group for needed in a.needs):
            return False
        awaited = self._awaited(group[0])
        return awaited is None or awaited.done()

    def _awaited(self, action: Action) -> asyncio.Future[Relay | None] | None:
        """Give what a copy from a relay waits for, None where the relay has the image already."""
        if action.relay is None:
            return None
        return self._relayed.get((action.relay.library, action.subject.source_id))

    def _lacks_bases(self, action: Action) -> bool:
        """Say whether an image is made of one that is still to arrive."""
        return any((action.subject.target, base) in self._coming for base in action.bases)

    def _has_room(self, group: Iterable[Action]) -> bool:
        return any(self._queued[action.subject.target] < self._transfers for action in group)

    async def _copy_group(self, group: Sequence[Action]) -> None:
        first = group[0]
        if first.image is None:
            raise AssertionError("a copy knows what to copy")
        image = first.image
        if first.relay is not None:
            awaited = self._awaited(first)
            relay = first.relay if awaited is None else awaited.result()
            if relay is None:
                for action in group:
                    self._skip(action, f"not copied, since the relay {first.sender} did not get it")
                    self._end(action, None)
                return
            image = replace(image, id=relay.image_id, hashes=relay.hashes)
        targets = [action.subject.target for action in group]
        throttle = Jointly([self._bandwidth, *self._links.beside(first.sender, targets)])
        reading = Reading(self._libraries[first.sender], image, throttle, self._block)
        if _is_alone(first):
            await self._deliver(first, reading)
            return
        fan = FanOut(reading, len(group), self._held)
        subscriptions = [fan.subscribe() for _ in group]
        async with asyncio.TaskGroup() as tasks:
            deliveries = [
                tasks.create_task(self._deliver_shared(action, reading, fan, subscription))
                for action, subscription in zip(group, subscriptions, strict=True)
            ]
            reader = tasks.create_task(fan.read())
            everybody = tasks.create_task(_all(deliveries))
            await asyncio.wait([reader, everybody], return_when=asyncio.FIRST_COMPLETED)
            if everybody.done():
                reader.cancel()
                return
            await asyncio.wait(deliveries, return_when=asyncio.FIRST_COMPLETED)
            await fan.detach_idle()

    async def _deliver_shared(
        self, action: Action, reading: Reading, fan: FanOut, subscription: Subscription
    ) -> None:
        try:
            await self._deliver(action, reading, subscription)
        finally:
            await fan.leave(subscription)

    async def _deliver(
        self, action: Action, reading: Reading, data: Subscription | None = None
    ) -> None:
        target_id = relay = None
        try:
            target_id = await self._attempt(
                action, lambda: self._copy(action, reading, data), action.bytes
            )
            if target_id is not None:
                hashes = reading.image.hashes or reading.computed or Hashes()
                relay = Relay(action.subject.target, target_id, hashes)
        finally:
            self._end(action, relay)

    def _end(self, action: Action, arrived: Relay | None) -> None:
        """Make room, and tell who waits for a copy what came of it."""
        target = action.subject.target
        place = target, action.subject.source_id
        self._queued[target] -= 1
        self._coming.discard((target, action.target_id))
        self._freed.set()
        if place in self._arrivals:
            self._arrivals[place].set_result(arrived.image_id if arrived else None)
        if place in self._relayed:
            self._relayed[place].set_result(arrived)

    async def _copy(self, action: Action, reading: Reading, data: Subscription | None) -> str:
        await self._check(action)
        boot_ids = {}
        for image_id in action.needs:
            arrival = self._arrivals.get((action.subject.target, image_id))
            if arrival is not None:
                arrived = await asyncio.shield(arrival)
                if arrived is None:
                    raise ImageError(
                        f"{action.subject.target}: image {action.subject.label}: not copied, "
                        f"since the image {image_id} that it boots with was not"
                    )
                boot_ids[image_id] = arrived
        target, account = self._libraries[action.subject.target], self._accounts[id(action)]

        def moved(count: int) -> None:
            account.wire += max(count, 0)
            self._reporter.moved(action, count)

        delivery = Delivery(
            action=action,
            target=target,
            reading=reading,
            data=data,
            moved=moved,
            verifying=lambda: self._reporter.verifying(action),
            throttle=Jointly(self._links.beside(action.subject.target, [action.sender])),
            boot_ids=boot_ids,
            checked=self._checked,
        )
        if action.wire is not None:
            ends = await meet(reading.source, target)
            if isinstance(ends, Ends):
                throttle = Jointly([reading.throttle, delivery.throttle])
                delivery.pieces = ByPieces(
                    ends, reading.image, action.bases, throttle, self._batches
                )
            else:
                delivery.whole = ends or f"{target.name} does not exchange pieces"
        if action.pull:
            found = await by_pull(action, reading.source, target, reading.image.id)
            if isinstance(found, str):
                delivery.through = found
            else:
                delivery.pull = found
        try:
            return await delivery.run()
        finally:
            account.whole, account.through = delivery.whole, delivery.through

    async def _change(self, action: Action) -> None:
        async def change() -> str:
            await self._check(action)
            target = self._libraries[action.subject.target]
            if action.without_data and action.image is not None:
                await target.create(action.image)
                return action.target_id
            changes, marks = Changes(action.set, action.remove), _marks(action)
            # A target withdraws members only while the image is shared: it may cease to be.
            for project in action.withdraw:
                await target.remove_member(action.target_id, project)
            if action.add:
                if changes:
                    await target.update(action.target_id, changes)
                for member in action.add:
                    await target.add_member(action.target_id, member)
                changes = Changes({})
            # What says that all is written comes last, so that a crash leaves the rest to do.
            if changes or marks:
                await target.update(
                    action.target_id, Changes({**changes.set, **marks}, changes.remove)
                )
            return action.target_id

        await self._attempt(action, change)

    async def _remove_all(self, actions: Sequence[Action], *, failed: bool) -> None:
        """Hide and delete what has to go, as far as the guard lets it, if nothing went wrong."""
        bad = (Result.FAILED, Result.STALE)
        failed = failed or any(outcome.result in bad for outcome in self._outcomes)
        for together, guard in judged(actions, self._max_delete):
            for action in together:
                if guard is not None:
                    self._skip(action, str(guard), guard)
                elif failed:
                    self._skip(action, "nothing is removed after a run with errors")
                else:
                    await self._attempt(action, lambda action=action: self._remove(action))  # type: ignore[misc]  # binds the loop's action

    async def _remove(self, action: Action) -> str:
        target = self._libraries[action.subject.target]
        await self._check(action)
        if action.kind is Kind.HIDE:
            await target.update(action.target_id, Changes({**action.set, **_marks(action)}))
            return action.target_id
        if action.set:
            await target.update(action.target_id, Changes(action.set))
        await target.delete(action.target_id)
        return action.target_id

    async def _check(self, action: Action) -> None:
        """Hold both images against the plan, where that is asked for or an image is to go."""
        subject = action.subject
        if self._checked or action.source_state == ABSENT or action.withdrawn:
            await self._expect(subject.source, subject.source_id, action.source_state)
        if self._checked or action.kind in (Kind.HIDE, Kind.DELETE):
            await self._expect(subject.target, action.target_id, action.target_state)

    async def _expect(self, name: str, image_id: str, state: str) -> None:
        library = self._libraries[name]
        try:
            image = await library.show(image_id)
        except VanishedError:
            if state != ABSENT:
                raise StalePlanError(f"{name}: image {image_id} is gone; plan again") from None
            return
        if state == state_digest(image):
            return
        members = await library.list_members(image_id) if image.visibility == "shared" else ()
        if state == state_digest(image, members):
            return
        raise StalePlanError(
            f"{name}: image {image.label} is not as it was when the plan was made; plan again"
        )

    async def _attempt(
        self, action: Action, work: Callable[[], Awaitable[str]], size: int = 0
    ) -> str | None:
        """Do one action in a slot of its target and record how it ended."""
        target = action.subject.target
        async with self._slots[target]():
            _log.info("%s %s: %s", action.kind, action.subject.label, action.reason)
            self._reporter.started(action)
            begun = time.monotonic()
            try:
                for library in (target, action.sender):
                    if library in self._down:
                        raise self._down[library]
                target_id = await work()
            except MeltemiError as error:
                if error.library is not None:
                    self._down[error.library] = error
                result = _ENDINGS.get(type(error), Result.FAILED)
                wire = self._accounts.pop(id(action), _Account()).wire
                self._finish(
                    Outcome(action, result, str(error), action.target_id, error=error, wire=wire)
                )
                return None
            seconds = time.monotonic() - begun
            account = self._accounts.pop(id(action), _Account())
            renumbered = action.kind is Kind.COPY and target_id != action.subject.source_id
            told = [f"under the id {target_id}"] if renumbered else []
            told += [f"through here: {account.through}"] if account.through else []
            told += [f"as a whole: {account.whole}"] if account.whole else []
            detail, wire = "; ".join(told), account.wire
            self._finish(Outcome(action, Result.DONE, detail, target_id, size, seconds, wire=wire))
            return target_id

    def _skip(self, action: Action, why: str, error: MeltemiError | None = None) -> None:
        self._finish(Outcome(action, Result.SKIPPED, why, action.target_id, error=error))

    def _finish(self, outcome: Outcome) -> None:
        subject = outcome.action.subject
        _log.info(
            "%s %s from %s to %s: %s%s",
            outcome.action.kind,
            subject.label,
            subject.source,
            subject.target,
            outcome.result,
            outcome.detail and f": {outcome.detail}",
        )
        self._outcomes.append(outcome)
        self._reporter.finished(outcome)


def _slots(count: int) -> Slot:
    semaphore = asyncio.Semaphore(count)
    return lambda: semaphore


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


def _is_alone(action: Action) -> bool:
    """Say whether a copy shares no data on its way: each target lacks other pieces."""
    return action.wire is not None or action.pull


def _marks(action: Action) -> dict[str, str]:
    """Write the mark of origin that an action leaves behind, as of now."""
    if action.origin is None:
        return {}
    origin = replace(action.origin, at=timestamp(datetime.now(UTC)))
    return origin.properties(action.target_id)
