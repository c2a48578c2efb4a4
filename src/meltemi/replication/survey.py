"""Reading libraries and making the plan of one route; touches nothing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from uuid import uuid4

from meltemi.errors import MeltemiError
from meltemi.libraries.base import Library
from meltemi.model.image import Image, Member
from meltemi.model.plan import Action, Note, Plan, Standing
from meltemi.model.provenance import read_provenance
from meltemi.model.route import OnSourceDeletion, Route
from meltemi.replication.case import Found, Settled
from meltemi.replication.choices import Choices, Reserved, nothing_reserved
from meltemi.replication.choosing import LEFT_OUT, NOT_CHOSEN, Chooser
from meltemi.replication.companions import Companion, Companions, show_or_none
from meltemi.replication.context import Context, replica_of
from meltemi.replication.decide import settle, unfit
from meltemi.replication.exchange.bases import Seen
from meltemi.replication.gone import settle_gone
from meltemi.replication.join import ListingError, Row, UnorderedError, collected, join
from meltemi.replication.learnt import Learnt, soundness
from meltemi.replication.mapping import boot_files, companion_policy
from meltemi.replication.relaying import Relaying, relayed
from meltemi.replication.selection import Selector
from meltemi.replication.where import FAILED

_AT_ONCE = 16
"""Requests under way at once for what a listing does not give."""

Teller = Callable[[Image, str, Settled], None]
"""Is told what is to be done about a source's image at a target, by name; nothing: in sync."""


def untold(_: Image, __: str, ___: Settled) -> None:
    """Tell nobody."""


async def survey(
    route: Route,
    source: Library,
    targets: Sequence[Library],
    now: datetime,
    tell: Teller = untold,
    *,
    seen: Mapping[str, Seen] = MappingProxyType({}),
    reserved: Reserved = nothing_reserved,
    relaying: asyncio.Future[Relaying] | None = None,
) -> Plan:
    """Compare a source with its targets and plan what would make them match.

    `tell` hears of every image that the route carries, possibly again where a listing has to be
    read again; where owners choose, of those too that they may not have. What targets listed is
    remembered in `seen`, by their names, if they stand there. `reserved` says which copies are on
    their way already, and count against quotas. Where a relay and those that get their data from
    there are read one by one, `relaying` is told of the relay by its own survey, and tells others.

    The listings are read side by side, so what is held does not grow with the images that are in
    sync. A target whose listing fails is left out and stands in the plan's errors; the source's
    error is raised, and a target's where no other is left.
    """
    readable, errors, sort_first = list(targets), dict[str, MeltemiError](), False
    while True:
        try:
            one = _Survey(route, source, readable, now, tell=tell, seen=seen, reserved=reserved)
            plan = await one.run(sort_first=sort_first)
            if route.relay is not None:
                plan = await one.relayed(plan, route.relay, relaying)
        except UnorderedError:
            sort_first = True
        except ListingError as error:
            if error.place == 0 or len(readable) == 1:
                raise error.cause from None
            errors[readable.pop(error.place - 1).name] = error.cause
        else:
            return replace(plan, errors=errors)


class _Survey:
    """One reading of a route's libraries."""

    def __init__(
        self,
        route: Route,
        source: Library,
        targets: Sequence[Library],
        now: datetime,
        *,
        tell: Teller,
        seen: Mapping[str, Seen],
        reserved: Reserved,
    ) -> None:
        self._route = route
        self._seen = seen
        self._tell = tell
        self._source = source
        self._targets = [
            Learnt(
                library,
                Context(
                    route=route.name,
                    source=source.name,
                    source_identity=source.identity,
                    target=library.name,
                    target_project=library.project,
                    target_keeps_owners=library.keeps_owners,
                    policy=route.policy,
                    now=now,
                    source_keeps_owners=source.keeps_owners,
                ),
            )
            for library in targets
        ]
        self._selector = Selector(route.selection, now=now)
        chooser = Chooser(route.choosing, now=now) if route.choosing else None
        self._choices = Choices(chooser, reserved)
        self._later: list[tuple[Image, Learnt, Image | None]] = []
        self._companions = Companions(source, self._selector)
        self._actions: list[Action] = []
        self._notes: list[Note] = []
        self._copied: dict[str, Image] = {}
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def run(self, *, sort_first: bool) -> Plan:
        """Read everything once, settle what can be settled at once, then the rest."""
        listings = [
            collected(library.list_images()) if sort_first else library.list_images()
            for library in (self._source, *(target.library for target in self._targets))
        ]
        async for rows in join(listings):
            await self._settle_rows(rows)
        self._share_quotas()
        async for companion in self._companions.find():
            for target in self._targets:
                await self._settle_companion(companion, target)
        # Kernels and ramdisks first: what boots with them must know what becomes of them.
        for needy in (False, True):
            late = [one for one in self._later if bool(boot_files(one[0])) is needy]
            await asyncio.gather(*(self._settle(*one) for one in late))
        await asyncio.gather(*map(self._tell_of_surplus, self._targets))
        if self._route.policy.on_source_deletion is not OnSourceDeletion.KEEP:
            await self._settle_orphans()
        await self._settle_withdrawn()
        in_sync = {(self._route.name, t.library.name): t.in_sync for t in self._targets}
        return Plan(tuple(self._actions), tuple(self._notes), in_sync)

    async def relayed(
        self, plan: Plan, name: str, relaying: asyncio.Future[Relaying] | None
    ) -> Plan:
        """Let what was planned have its data from a relay, which may be read elsewhere."""
        learnt = next((t for t in self._targets if t.library.name == name), None)
        relay = Relaying(name) if learnt is None else Relaying.seen(learnt, plan)
        if relaying is not None and learnt is None:
            relay = await asyncio.shield(relaying)
        elif relaying is not None:
            relaying.set_result(relay)
        return await relayed(plan, relay, self._copied)

    async def _settle_rows(self, rows: list[Row]) -> None:
        waiting = []
        for source, *images in rows:
            wanted = source is not None and self._choices.concern(source) and self._wants(source)
            for target, image in zip(self._targets, images, strict=True):
                if image is not None:
                    self._learn(target, image, has_source=source is not None)
                known = source is not None and target.knows_as_replica(source, image)
                if source is not None and not known:
                    target.elsewhere.add(source.id)
                if source is None or not self._is_welcome(source, target, image):
                    continue
                if not wanted or not self._choices.has_room(source, target, image, known=known):
                    continue
                if image is None or not image.has_data or boot_files(source):
                    self._later.append((source, target, image))
                elif not self._shares(source) and not self._may_withdraw(source, target, image):
                    self._settle_alike(source, target, image)
                elif known:
                    waiting.append(self._settle(source, target, image))
                else:
                    self._later.append((source, target, image))
        await asyncio.gather(*waiting)

    def _learn(self, target: Learnt, image: Image, *, has_source: bool) -> None:
        target.learn(image, has_source=has_source)
        if (seen := self._seen.get(target.library.name)) is not None:
            seen.look(image)

    def _is_welcome(self, source: Image, target: Learnt, image: Image | None) -> bool:
        """Say whether an image's owner has chosen a target, and may."""
        if (why := self._choices.refuse(source, target)) is None:
            return True
        if why is not NOT_CHOSEN:
            self._refuse(source, target, why)
        self._choices.unwanted(source, target, image)
        return False

    def _refuse(self, source: Image, target: Learnt, why: str) -> None:
        note = Note(target.context.subject(source.id, source.name), Standing.LEFT_OUT, why)
        target.unavailable[source.id] = why
        self._notes.append(note)
        self._tell(source, target.library.name, (note,))

    def _share_quotas(self) -> None:
        for (source, target, image), why in self._choices.shared_out():
            if why is None:
                self._later.append((source, target, image))
            else:
                self._refuse(source, target, why)

    def _wants(self, source: Image) -> bool:
        if (refused := self._selector.rejects(source)) is not None:
            if refused.startswith(FAILED):
                self._note(source, Standing.CONFLICT, refused)
            elif self._choices.are_made:
                self._note(source, Standing.LEFT_OUT, LEFT_OUT)
            return False
        if reason := unfit(source, self._route.policy):
            self._note(source, Standing.LEFT_OUT, reason)
            return False
        self._companions.ask_for(source)
        return True

    def _note(self, source: Image, standing: Standing, reason: str) -> None:
        for target in self._targets:
            if self._choices.refuse(source, target) is not None:
                continue
            note = Note(target.context.subject(source.id, source.name), standing, reason)
            self._notes.append(note)
            self._tell(source, target.library.name, (note,))

    def _shares(self, source: Image) -> bool:
        return self._route.policy.members and source.visibility == "shared"

    def _may_withdraw(self, source: Image, target: Learnt, replica: Image) -> bool:
        """Say whether a replica may list members that concern this route."""
        if target.library.keeps_owners:
            return self._shares(source) or replica.visibility == "shared"
        if replica.visibility != "shared":
            return False
        origin = read_provenance(replica)
        return self._shares(source) or (origin is not None and bool(origin.written.members))

    def _settle_alike(self, source: Image, target: Learnt, image: Image) -> None:
        """Settle a pair with one id, unless it takes more to know than these two images."""
        settled = settle(source, None, Found(same_id=image), target.context, {})
        if all(isinstance(item, Action) and item.target_id == image.id for item in settled):
            self._keep(source, settled, target)
        else:
            self._later.append((source, target, image))

    async def _settle(
        self,
        source: Image,
        target: Learnt,
        same_id: Image | None,
        context: Context | None = None,
    ) -> None:
        """Settle one image with everything that the listings have told."""
        context = context or target.context
        for image_id in boot_files(source):
            if (why := target.unavailable.get(image_id)) and image_id != source.id:
                reason = f"image {image_id}, which it boots with, will not be there: {why}"
                subject = context.subject(source.id, source.name)
                self._keep(source, (Note(subject, Standing.CONFLICT, reason),), target)
                return
        mapped, owner = target.mapped_to(source), target.owner_of(source)
        same_name = None
        if not context.target_keeps_owners and (
            name := target.names.get((source.name or "", owner))
        ):
            async with self._gate:
                same_name = await show_or_none(target.library, name)
        members, present = await self._members(source, target, mapped or same_id)
        found = Found(same_id, mapped, same_name, present)
        self._keep(source, settle(source, members, found, context, target.boot_ids), target)

    async def _members(
        self, source: Image, target: Learnt, replica: Image | None
    ) -> tuple[tuple[Member, ...] | None, tuple[Member, ...] | None]:
        """Give the source's members and the replica's, None for what need not be known."""
        members = present = None
        async with self._gate:
            if self._shares(source):
                members = await self._source.list_members(source.id)
            if replica is not None and self._may_withdraw(source, target, replica):
                present = await target.library.list_members(replica.id)
        return members, present

    async def _settle_companion(self, companion: Companion, target: Learnt) -> None:
        """Bring a kernel or ramdisk along that no rule selected, so that what needs it boots."""
        image, there = companion.image, await show_or_none(target.library, companion.id)
        if image is None:
            if there is not None and not target.knows_as_replica(None, there):
                target.unavailable[companion.id] = "the source has lost it"
            return
        if mapped := target.mapped_to(image):
            target.boot_ids[image.id] = mapped.id
        why = (
            unfit(image, self._route.policy)
            or companion.refused
            or self._comes_alone(companion, target)
        )
        alike = there is not None and image.hashes.agree(there.hashes)
        if why and not alike and not mapped:
            target.unavailable[image.id] = why
        elif not why and not companion.chosen:
            policy = companion_policy(self._route.policy, image)
            await self._settle(image, target, there, replace(target.context, policy=policy))

    def _comes_alone(self, companion: Companion, target: Learnt) -> str | None:
        """Say why an image comes along with no other, where only what its owner chose may come."""
        if companion.image is None or not self._choices.are_made:
            return None
        unavailable = target.unavailable.get(companion.id)
        return (
            unavailable
            or self._choices.refuse(companion.image, target)
            or (None if companion.chosen else LEFT_OUT)
        )

    async def _settle_withdrawn(self) -> None:
        """Take replicas away that the owners of their sources do not want, or may not have."""
        for target in self._targets:
            for source_id in self._choices.strays(target):
                source = await show_or_none(self._source, source_id)
                if source is None or self._choices.refuse(source, target) is None:
                    continue
                for image in target.mapped.get((source_id, target.owner_of(source)), ()):
                    self._choices.unwanted(source, target, image)
        items = list(self._choices.withdrawals())
        self._actions += [item for item in items if isinstance(item, Action)]
        self._notes += [item for item in items if isinstance(item, Note)]

    async def _settle_orphans(self) -> None:
        for target in self._targets:
            for (source_id, _), replicas in target.mapped.items():
                image = min(replicas, key=soundness)
                if source_id in target.elsewhere or await show_or_none(self._source, source_id):
                    continue
                if (origin := replica_of(image, target.context)) is not None:
                    target.orphans.append((image, origin))
            gone = [settle_gone(*orphan, target.context) for orphan in target.orphans]
            self._actions += [item for item in gone if isinstance(item, Action)]
            self._notes += [item for item in gone if isinstance(item, Note)]

    async def _tell_of_surplus(self, target: Learnt) -> None:
        """Note where a source has several replicas, of which only one is kept up to date."""

        async def tell(source_id: str, owner: str | None, ids: list[str]) -> None:
            async with self._gate:
                source = await show_or_none(self._source, source_id)
            if source is None or target.owner_of(source) != owner or self._leaves(source):
                return
            reason = f"{', '.join(ids)} are all replicas of it; one of them is kept up to date"
            subject = target.context.subject(source.id, source.name)
            self._notes.append(Note(subject, Standing.LEFT_OUT, reason))

        await asyncio.gather(*(tell(*key, ids) for key, ids in target.surplus().items()))

    def _leaves(self, source: Image) -> bool:
        return bool(self._selector.rejects(source) or unfit(source, self._route.policy))

    def _keep(self, source: Image, settled: Settled, target: Learnt) -> None:
        target.in_sync += not settled
        self._tell(source, target.library.name, settled)
        if any(isinstance(item, Action) and item.sends for item in settled):
            self._copied[source.id] = source
        self._actions += [_with_id(item) for item in settled if isinstance(item, Action)]
        notes = [item for item in settled if isinstance(item, Note)]
        self._notes += notes
        target.unavailable |= {note.subject.source_id: note.reason for note in notes}


def _with_id(action: Action) -> Action:
    """Choose the id of a copy that cannot have its source's: a plan names every image it makes."""
    return action if action.target_id else replace(action, target_id=str(uuid4()))
