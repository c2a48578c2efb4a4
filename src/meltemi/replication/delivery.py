"""Bringing one image to one target: register, send, verify, publish.

Ids burn in Glance: one that was deleted can never be used again. So nothing is ever deleted to
clean up; an attempt that fails leaves the image queued and private, and the next one fills it.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import stamina

from meltemi.errors import (
    BusyError,
    ConflictError,
    CorruptionError,
    ForbiddenError,
    ImageError,
    InterruptedTransfer,
    MeltemiError,
    StalePlanError,
    VanishedError,
    is_passing,
)
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import PUBLISHED_LAST, Image, Value
from meltemi.model.plan import Action
from meltemi.model.provenance import (
    COMPUTED,
    Provenance,
    Written,
    describe_hash,
    read_provenance,
    short,
    timestamp,
)
from meltemi.model.task import CARRIED
from meltemi.replication.claim import Claim, unfinished
from meltemi.replication.exchange.pulling import ByPull
from meltemi.replication.exchange.sending import ByPieces
from meltemi.replication.fanout import Subscription
from meltemi.replication.limits import Throttle
from meltemi.replication.mapping import BOOT_FILES, with_boot_files
from meltemi.replication.merge import merge
from meltemi.replication.ownership import own_mark
from meltemi.replication.reading import Block, Reading
from meltemi.replication.verification import is_same_data

_log: Final = logging.getLogger(__name__)

_ATTEMPTS: Final = 4
_SETTLING_SECONDS: Final = 30
"""How long a target may take to notice that an upload was cut off."""

_REVIVING_SECONDS: Final = 60
"""The same, of a region of Meltemi: one that was killed looks half a minute for a heart first."""


@dataclass(slots=True)
class Delivery:
    """One copy action on its way to its target.

    `data` is where the first attempt takes its bytes from; later ones read for themselves. With
    `pieces`, it is sent by pieces instead, as long as the target agrees; with `pull`, the target
    fetches it, if it can. `moved` is told how many bytes crossed the wire. With `checked` the
    plan's word on the id of the image holds: where that id cannot be used, the plan is stale.
    """

    action: Action
    target: Library
    reading: Reading
    data: Subscription | None
    moved: Callable[[int], None]
    verifying: Callable[[], None]
    throttle: Throttle
    boot_ids: Mapping[str, str]
    checked: bool = False
    pieces: ByPieces | None = None
    pull: ByPull | None = None
    brought: Mapping[str, str] = field(default_factory=dict)
    """Properties that come along where it is fetched."""
    target_id: str = ""
    refused: bool = False
    disagreed: bool = False
    in_vain: bool = False
    whole: str = ""
    """Why it was sent as a whole after all."""
    through: str = ""
    """Why the target did not fetch it after all."""

    async def run(self) -> str:
        """Deliver; give the id that the image has at the target."""
        self.target_id = self.action.target_id
        if self.pull is not None:
            self.brought = await self.pull.brought()
        async for attempt in stamina.retry_context(on=is_passing, attempts=_ATTEMPTS, timeout=None):
            with attempt:
                first = self.data if attempt.num == 1 else None
                data = (first or self.reading).blocks()
                async with aclosing(data):
                    missing = await self._registered(again=attempt.num > 1)
                    if missing and not await self._pulled():
                        await (self._send_pieces(self.pieces) if self.pieces else self._send(data))
                    await self._publish(await self._verify(data))
        return self.target_id

    @property
    def _image(self) -> Image:
        image = self.action.image
        if image is None:
            raise AssertionError("a copy knows what to copy")
        return with_boot_files(image, self.boot_ids)

    def _origin(self, at: str) -> Provenance | None:
        origin = self.action.origin
        if origin is None:
            return None
        attributes = dict(origin.written.attributes)
        for name in BOOT_FILES:
            if (image_id := self._image.properties.get(name)) and name in attributes:
                attributes[name] = short(image_id)
        source_hash = origin.source_hash
        known = self.reading.computed or self.reading.image.hashes
        if source_hash.startswith(COMPUTED) and known:
            source_hash = f"{COMPUTED}{describe_hash(known)}"
        written = replace(origin.written, attributes=attributes)
        return replace(origin, at=at, source_hash=source_hash, written=written)

    async def _registered(self, *, again: bool) -> bool:
        """See that the image exists and is ours to fill; say whether it still lacks its data."""
        if again or self.action.filling:
            try:
                return await self._ours()
            except VanishedError:
                if self.action.filling:
                    raise
        try:
            await self.target.create(self._draft())
        except ConflictError:
            await self._take_another_id()
        return True

    async def _ours(self) -> bool:
        """Claim an image that is there, if it is ours; say whether it lacks its data.

        Raise BusyError where it belongs to somebody else or another replicator is at work on it.
        """
        image = await self._settled()
        if not self._is_own(image):
            raise self._appeared(image)
        if image.has_data and not self.action.filling:
            return False
        claim, now = _claim_on(image), datetime.now(UTC)
        nobodys = claim is not None and (claim.is_ours or claim.is_given_up(image, now))
        if image.status == "saving" and nobodys and not self.refused:
            # A target that was killed, or ran over quota at the end, never takes it back to queued.
            await self._register_anew(f"image {image.label} is saving, though nobody sends it")
            return True
        fillable = image.status == "queued" or image.has_data
        if not fillable or (claim and claim.holds_against(now)):
            raise BusyError(f"{self.target.name}: image {image.label}: {claim or image.status}")
        # The source may have changed since the image was registered.
        wanted = {**self._draft().attributes(), "status": image.status}
        origin = read_provenance(image)
        written = origin.written if origin else Written.of(image.attributes())
        if changes := merge(wanted, written, image.attributes()):
            image = await self.target.update(self.target_id, changes)
            claim = _claim_on(await self.target.show(self.target_id))
            # Two may have claimed it at once: the later word holds.
            if self.action.origin is not None and not (claim and claim.is_ours):
                raise BusyError(f"{self.target.name}: image {image.label}: {claim or 'taken'}")
        return not image.has_data

    async def _settled(self) -> Image:
        """Give the image, after waiting for an earlier upload to be noticed as cut off."""
        for _ in range(_REVIVING_SECONDS if self.pieces else _SETTLING_SECONDS):
            image = await self.target.show(self.target_id)
            claim = _claim_on(image)
            cut_off = claim is not None and (claim.is_ours or claim.is_abandoned)
            if image.status != "saving" or not cut_off:
                break
            await asyncio.sleep(1)
        return image

    def _is_own(self, image: Image) -> bool:
        """Say whether an image is the replica that this delivery is to complete."""
        owner, source_id = self._image.owner, self.action.subject.source_id
        # Nobody else writes to an archive, which is locked and bears no marks.
        return (
            self.target.keeps_owners
            or own_mark(image, owner=owner, source_id=source_id) is not None
        )

    def _appeared(self, image: Image) -> MeltemiError:
        """Say that somebody else's image is there."""
        kind = StalePlanError if self.checked else BusyError
        return kind(
            f"{self.target.name}: image {image.label} appeared there, or became somebody else's, "
            "after the plan was made"
        )

    async def _take_another_id(self) -> None:
        """Choose an id where the wanted one is burnt or hidden; never where it is in use."""
        try:
            image = await self.target.show(self.target_id)
        except VanishedError:
            await self._register_anew(f"the id {self.target_id} is used up or taken unseen")
            return
        raise self._appeared(image)

    async def _register_anew(self, why: str) -> None:
        """Register under a new id, which the mark of origin maps to the source's."""
        if self.checked:
            raise StalePlanError(
                f"{self.target.name}: image {self.action.subject.label}: {why}, and a saved plan "
                "takes no other id than it names: copy it with `sync` or `livecopy`"
            )
        self.target_id = str(uuid.uuid4())
        await self.target.create(self._draft())

    def _draft(self) -> Image:
        """Give the image as it is registered: complete, but private and unprotected."""
        image = replace(self._image, id=self.target_id)
        if self.target.keeps_owners:
            return image
        draft = replace(image, visibility="private", protected=False, os_hidden=False)
        brought = {n: v for n, v in self.brought.items() if image.properties.get(n) != v}
        # A hash that has yet to be computed is another thing to write at the end.
        published = draft == image and image.status == "active" and not self.action.add
        stays = published and bool(image.hashes.value) and not brought
        origin = self._origin(str(Claim.take(datetime.now(UTC), stays=stays)))
        if origin is not None:
            # So that a later run does not take them for what the target's operator wants.
            attributes = {**origin.written.attributes, **Written.of(brought).attributes}
            origin = replace(origin, written=replace(origin.written, attributes=attributes))
        marks = origin.properties(self.target_id) if origin else {}
        return replace(draft, properties={**image.properties, **marks})

    async def _pulled(self) -> bool:
        """Let the target fetch the data, and say whether it did; where it fails twice, no more."""
        if self.pull is None:
            return False
        try:
            await self.pull.run(self.target_id, self.moved)
        except ConflictError as error:  # to be looked at again; somebody else may be sending
            self.refused = True
            raise InterruptedTransfer(str(error)) from error
        except InterruptedTransfer:
            raise
        except ImageError as error:
            _log.info("%s is not pulled: %s", self.action.subject.label, error)
            if not self.in_vain:  # what had come by then is there
                self.in_vain = True
                raise InterruptedTransfer(str(error)) from error
            self.pull, self.brought, self.through = None, {}, str(error)
            return False
        await self._set_carried()
        return True

    async def _set_carried(self) -> None:
        """Set what an import took over from the source to what it is to be at the target."""
        wanted = self._draft().properties
        stored = (await self.target.show(self.target_id)).properties
        carried = {name for name in {*wanted, *stored} if name.startswith(CARRIED)}
        changed = {name: wanted[name] for name in carried & wanted.keys()}
        changed = {name: value for name, value in changed.items() if stored.get(name) != value}
        surplus = frozenset(carried - wanted.keys())
        if changed or surplus:
            await self.target.update(self.target_id, Changes(changed, surplus))

    async def _send_pieces(self, pieces: ByPieces) -> None:
        """Send what the target lacks; where that is refused, be content with less the next time.

        First without the bases that are gone by now, then without any of this.
        """
        try:
            await pieces.send(self.target_id, self.moved)
        except ConflictError as error:  # to be looked at again; somebody else may be sending
            self.refused = True
            raise InterruptedTransfer(str(error)) from error
        except InterruptedTransfer:  # what has arrived is not sent again
            raise
        except ImageError as error:
            _log.info("%s by pieces: %s", self.action.subject.label, error)
            if self.disagreed:
                self.pieces, self.whole = None, str(error)
            self.disagreed = True
            raise InterruptedTransfer(str(error)) from error

    async def _send(self, data: AsyncIterator[Block]) -> None:
        sent = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal sent
            async for block in data:
                await self.throttle.spend(block.size)
                for piece in block.pieces:
                    yield piece
                sent += block.size
                self.moved(block.size)

        try:
            await self.target.upload(self.target_id, self._image.size or 0, counted())
        except ConflictError as error:  # to be looked at again; somebody else may be sending
            self.refused = True
            self.moved(-sent)
            raise InterruptedTransfer(str(error)) from error
        except Exception:
            self.moved(-sent)
            raise

    async def _verify(self, data: AsyncGenerator[Block]) -> Image:
        """Hold what the target stored against the source; give what it says of the image.

        Meanwhile it may have become somebody else's, who is to get none of our marks.
        """
        self.verifying()
        image = await self.target.show(self.target_id)
        if not image.has_data:
            raise InterruptedTransfer(
                f"{self.target.name}: image {image.label}: {image.status} after it was sent"
            )
        if not self._is_own(image):
            raise ConflictError(
                f"{self.target.name}: image {image.label}: its owner or its mark of origin was "
                "changed while it was sent; it is left as it is"
            )
        if not await is_same_data(self.reading, data, self.target, image):
            raise CorruptionError(
                f"{self.target.name}: image {image.label}: the target stored other data than it "
                "was sent; it stays private: look at the target's storage"
            )
        return image

    async def _publish(self, stored: Image) -> None:
        try:
            await self._show_to_others(stored)
        except ForbiddenError as error:
            if self._image.visibility not in ("public", "community"):
                raise
            raise ForbiddenError(
                f"{error}; its data is there, private: --visibility private is content with that"
            ) from error

    async def _show_to_others(self, stored: Image) -> None:
        """Set what lets others see and use the image, and leave the complete mark last.

        Only what differs from what is stored: every operation of a patch costs Glance as much
        as reading the image twice.
        """
        image = self._image
        if image.status == "deactivated":
            await self.target.update(self.target_id, Changes({"status": "deactivated"}))
        final: dict[str, Value] = {}
        present = stored.attributes()
        if not self.target.keeps_owners:
            wanted = image.attributes()
            final = {n: wanted[n] for n in sorted(PUBLISHED_LAST) if wanted[n] != present[n]}
        origin = self._origin(_lasting_claim(stored) or timestamp(datetime.now(UTC)))
        complete = origin.properties(self.target_id) if origin else {}
        marks = {name: mark for name, mark in complete.items() if mark != present.get(name)}
        if self.action.add:
            if final:
                await self.target.update(self.target_id, Changes(final))
            for member in self.action.add:
                await self.target.add_member(self.target_id, member)
            final = {}
        if final or marks:
            await self.target.update(self.target_id, Changes({**final, **marks}))


def _claim_on(image: Image) -> Claim | None:
    origin = read_provenance(image)
    return Claim.parse(origin.at) if origin else None


def _lasting_claim(stored: Image) -> str | None:
    """Give this process's claim on an image where it can stay as the complete mark."""
    origin = read_provenance(stored)
    claim = Claim.parse(origin.at) if origin else None
    if origin is None or claim is None or not claim.is_ours or unfinished(stored, origin):
        return None
    return origin.at
