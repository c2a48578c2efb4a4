"""Reading libraries and making the plan of one route; touches nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from meltemi.errors import MeltemiError, VanishedError
from meltemi.libraries.base import Library
from meltemi.model.image import Image, Member
from meltemi.model.plan import Action, Note, Plan, Standing
from meltemi.model.provenance import Provenance, read_provenance
from meltemi.model.route import OnSourceDeletion, Route
from meltemi.replication.claim import unfinished
from meltemi.replication.context import Context, replica_of, trusted_origin
from meltemi.replication.decide import Found, Settled, settle, unfit
from meltemi.replication.gone import settle_gone
from meltemi.replication.join import ListingError, Row, UnorderedError, collected, join
from meltemi.replication.mapping import boot_files, map_project
from meltemi.replication.selection import Selector
from meltemi.replication.where import FAILED

_AT_ONCE = 16
"""Requests under way at once for what a listing does not give."""


async def survey(route: Route, source: Library, targets: Sequence[Library], now: datetime) -> Plan:
    """Compare a source with its targets and plan what would make them match.

    The listings are read side by side, so what is held does not grow with the images that are in
    sync. A target whose listing fails is left out and stands in the plan's errors; the source's
    error is raised, and a target's where no other is left.
    """
    readable, errors, sort_first = list(targets), dict[str, MeltemiError](), False
    while True:
        try:
            plan = await _Survey(route, source, readable, now).run(sort_first=sort_first)
        except UnorderedError:
            sort_first = True
        except ListingError as error:
            if error.place == 0 or len(readable) == 1:
                raise error.cause from None
            errors[readable.pop(error.place - 1).name] = error.cause
        else:
            return replace(plan, errors=errors)


class _Target:
    """What has been learnt of one target so far."""

    def __init__(self, library: Library, context: Context) -> None:
        self.library = library
        self.context = context
        self.mapped: dict[tuple[str, str | None], Image] = {}
        self.names: dict[tuple[str, str | None], str] = {}
        self.orphans: list[tuple[Image, Provenance]] = []
        self.boot_ids: dict[str, str] = {}
        self.elsewhere: set[str] = set()
        self.unavailable: dict[str, str] = {}
        self.in_sync = 0

    def learn(self, image: Image, *, has_source: bool) -> None:
        """Remember an image where it can matter for another id than its own."""
        origin = replica_of(image, self.context)
        known = trusted_origin(image, self.context)
        if known is not None and known.source_id != image.id:
            # Whatever address it was copied from: one image has one replica in a project.
            key = known.source_id, image.owner
            self.mapped[key] = min(image, self.mapped.get(key, image), key=_soundness)
        if origin is None:
            if image.name and not image.os_hidden and not has_source:
                self.names[image.name, image.owner] = image.id
        elif (
            origin.source_id == image.id
            and not has_source
            and self.context.policy.on_source_deletion is not OnSourceDeletion.KEEP
        ):
            self.orphans.append((image, origin))

    def owner_of(self, source: Image) -> str | None:
        """Give the project that a source's replica belongs to; no other may speak for it."""
        return map_project(source.owner, self.context.policy, self.context.target_project)

    def mapped_to(self, source: Image) -> Image | None:
        """Give the source's replica under another id, where there is one."""
        return self.mapped.get((source.id, self.owner_of(source)))

    def knows_as_replica(self, source: Image | None, image: Image | None) -> bool:
        """Say whether an image with a source's id is its replica by its own word.

        A source that is gone (None) says no longer which project its replica belongs to.
        """
        if image is None or (source is not None and image.owner != self.owner_of(source)):
            return False
        return replica_of(image, self.context) is not None


class _Survey:
    """One reading of a route's libraries."""

    def __init__(
        self, route: Route, source: Library, targets: Sequence[Library], now: datetime
    ) -> None:
        self._route = route
        self._source = source
        self._targets = [
            _Target(
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
        self._later: list[tuple[Image, _Target, Image | None]] = []
        self._wanted_boot_files: set[str] = set()
        self._actions: list[Action] = []
        self._notes: list[Note] = []
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def run(self, *, sort_first: bool) -> Plan:
        """Read everything once, settle what can be settled at once, then the rest."""
        listings = [
            collected(library.list_images()) if sort_first else library.list_images()
            for library in (self._source, *(target.library for target in self._targets))
        ]
        async for rows in join(listings):
            await self._settle_rows(rows)
        await self._settle_boot_files()
        # Kernels and ramdisks first: what boots with them must know what becomes of them.
        for needy in (False, True):
            late = [one for one in self._later if bool(boot_files(one[0])) is needy]
            await asyncio.gather(*(self._settle(*one) for one in late))
        if self._route.policy.on_source_deletion is not OnSourceDeletion.KEEP:
            await self._settle_orphans()
        in_sync = {(self._route.name, t.library.name): t.in_sync for t in self._targets}
        return Plan(tuple(self._actions), tuple(self._notes), in_sync)

    async def _settle_rows(self, rows: list[Row]) -> None:
        waiting = []
        for source, *images in rows:
            wanted = source is not None and self._wants(source)
            for target, image in zip(self._targets, images, strict=True):
                if image is not None:
                    target.learn(image, has_source=source is not None)
                known = source is not None and target.knows_as_replica(source, image)
                if source is not None and not known:
                    target.elsewhere.add(source.id)
                if source is None or not wanted:
                    continue
                if image is None or not image.has_data or boot_files(source):
                    self._later.append((source, target, image))
                elif not self._shares(source):
                    self._settle_alike(source, target, image)
                elif known:
                    waiting.append(self._settle(source, target, image))
                else:
                    self._later.append((source, target, image))
        await asyncio.gather(*waiting)

    def _wants(self, source: Image) -> bool:
        if (refused := self._selector.rejects(source)) is not None:
            if refused.startswith(FAILED):
                self._note(source, Standing.CONFLICT, refused)
            return False
        if reason := unfit(source, self._route.policy):
            self._note(source, Standing.LEFT_OUT, reason)
            return False
        self._wanted_boot_files.update(boot_files(source))
        return True

    def _note(self, source: Image, standing: Standing, reason: str) -> None:
        subjects = (target.context.subject(source.id, source.name) for target in self._targets)
        self._notes += [Note(subject, standing, reason) for subject in subjects]

    def _shares(self, source: Image) -> bool:
        return self._route.policy.members and source.visibility == "shared"

    def _settle_alike(self, source: Image, target: _Target, image: Image) -> None:
        """Settle a pair with one id, unless it takes more to know than these two images."""
        settled = settle(source, None, Found(same_id=image), target.context, {})
        if all(isinstance(item, Action) and item.target_id == image.id for item in settled):
            self._keep(settled, target)
        else:
            self._later.append((source, target, image))

    async def _settle(self, source: Image, target: _Target, same_id: Image | None) -> None:
        """Settle one image with everything that the listings have told."""
        context = target.context
        for image_id in boot_files(source):
            if (why := target.unavailable.get(image_id)) and image_id != source.id:
                reason = f"image {image_id}, which it boots with, will not be there: {why}"
                subject = context.subject(source.id, source.name)
                self._keep((Note(subject, Standing.CONFLICT, reason),), target)
                return
        mapped, owner = target.mapped_to(source), target.owner_of(source)
        same_name = None
        if not context.target_keeps_owners and (
            name := target.names.get((source.name or "", owner))
        ):
            async with self._gate:
                same_name = await _show(target.library, name)
        members = present = None
        if self._shares(source):
            members, present = await self._members(source, target, mapped or same_id)
        found = Found(same_id, mapped, same_name, present)
        self._keep(settle(source, members, found, context, target.boot_ids), target)

    async def _members(
        self, source: Image, target: _Target, replica: Image | None
    ) -> tuple[tuple[Member, ...], tuple[Member, ...]]:
        async with self._gate:
            wanted = await self._source.list_members(source.id)
            if replica is None or replica.visibility != "shared":
                return wanted, ()
            return wanted, await target.library.list_members(replica.id)

    async def _settle_boot_files(self) -> None:
        """Bring kernels and ramdisks along that no rule selected, so that what needs them boots."""
        for image_id in sorted(self._wanted_boot_files):
            image = await _show(self._source, image_id)
            for target in self._targets:
                there = await _show(target.library, image_id)
                if image is None:
                    if there is not None and not target.knows_as_replica(None, there):
                        target.unavailable[image_id] = "the source has lost it"
                    continue
                if mapped := target.mapped_to(image):
                    target.boot_ids[image_id] = mapped.id
                why = unfit(image, self._route.policy)
                alike = there is not None and image.hashes.agree(there.hashes)
                if why and not alike and not mapped:
                    target.unavailable[image_id] = why
                elif not why and self._selector.rejects(image) is not None:
                    await self._settle(image, target, there)

    async def _settle_orphans(self) -> None:
        for target in self._targets:
            for (source_id, _), image in target.mapped.items():
                if source_id in target.elsewhere or await _show(self._source, source_id):
                    continue
                if (origin := replica_of(image, target.context)) is not None:
                    target.orphans.append((image, origin))
            gone = (settle_gone(*orphan, target.context) for orphan in target.orphans)
            self._actions += [action for action in gone if action is not None]

    def _keep(self, settled: Settled, target: _Target) -> None:
        target.in_sync += not settled
        self._actions += [_with_id(item) for item in settled if isinstance(item, Action)]
        notes = [item for item in settled if isinstance(item, Note)]
        self._notes += notes
        target.unavailable |= {note.subject.source_id: note.reason for note in notes}


def _with_id(action: Action) -> Action:
    """Choose the id of a copy that cannot have its source's: a plan names every image it makes."""
    return action if action.target_id else replace(action, target_id=str(uuid4()))


def _soundness(image: Image) -> tuple[bool, bool, bool]:
    """Order replicas of one source: a broken storage or a killed target may leave several."""
    origin = read_provenance(image)
    unverified = origin is None or unfinished(image, origin)
    return not image.has_data, unverified, image.os_hidden


async def _show(library: Library, image_id: str) -> Image | None:
    try:
        return await library.show(image_id)
    except VanishedError:
        return None
