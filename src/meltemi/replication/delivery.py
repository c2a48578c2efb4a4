"""Bringing one image to one target: register, send, verify, publish.

Ids burn in Glance: one that was deleted can never be used again. So nothing is ever deleted to
clean up; an attempt that fails leaves the image queued and private, and the next one fills it.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import stamina

from meltemi.errors import (
    BusyError,
    ConflictError,
    CorruptionError,
    ForbiddenError,
    InterruptedTransfer,
    VanishedError,
    is_passing,
)
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import PUBLISHED_LAST, Hashes, Image, Value
from meltemi.model.plan import Action
from meltemi.model.provenance import (
    COMPUTED,
    Provenance,
    Written,
    read_provenance,
    short,
    timestamp,
)
from meltemi.replication.claim import Claim, unfinished
from meltemi.replication.fanout import Subscription
from meltemi.replication.mapping import BOOT_FILES, with_boot_files
from meltemi.replication.merge import merge
from meltemi.replication.reading import Reading, start_hash

_ATTEMPTS: Final = 4
_SETTLING_SECONDS: Final = 30
"""How long a target may take to notice that an upload was cut off."""


@dataclass(slots=True)
class Delivery:
    """One copy action on its way to its target.

    `data` is where the first attempt takes its bytes from; later ones read for themselves.
    `moved` is told how many bytes the target took.
    """

    action: Action
    target: Library
    reading: Reading
    data: Subscription
    moved: Callable[[int], None]
    boot_ids: Mapping[str, str]
    target_id: str = ""
    refused: bool = False

    async def run(self) -> str:
        """Deliver; give the id that the image has at the target."""
        self.target_id = self.action.target_id or str(uuid.uuid4())
        async for attempt in stamina.retry_context(on=is_passing, attempts=_ATTEMPTS, timeout=None):
            with attempt:
                if await self._registered(again=attempt.num > 1):
                    stream = self.data.data() if attempt.num == 1 else self._own_reading()
                    await self._send(stream)
                await self._publish(await self._verify())
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
        if source_hash.startswith(COMPUTED) and self.reading.computed:
            source_hash = f"{COMPUTED}sha512:{self.reading.computed.value}"
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
        """Wait for an earlier upload to be noticed as cut off, then claim the image."""
        for _ in range(_SETTLING_SECONDS):
            image = await self.target.show(self.target_id)
            claim = _claim_on(image)
            nobodys = claim is not None and (claim.is_ours or claim.is_abandoned)
            if image.status != "saving" or not nobodys:
                break
            await asyncio.sleep(1)
        if image.has_data:
            return False
        if image.status == "saving" and nobodys and not self.refused:
            # A target that was killed, or ran over quota at the end, never takes it back to queued.
            await self._register_anew()
            return True
        if image.status != "queued" or (claim and claim.holds_against(datetime.now(UTC))):
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
        return True

    async def _take_another_id(self) -> None:
        """Choose an id where the wanted one is burnt or hidden; never where it is in use."""
        try:
            image = await self.target.show(self.target_id)
        except VanishedError:
            await self._register_anew()
            return
        raise BusyError(
            f"{self.target.name}: image {image.label} appeared there after the plan was made"
        )

    async def _register_anew(self) -> None:
        """Register under a new id, which the mark of origin maps to the source's."""
        self.target_id = str(uuid.uuid4())
        await self.target.create(self._draft())

    def _draft(self) -> Image:
        """Give the image as it is registered: complete, but private and unprotected."""
        image = replace(self._image, id=self.target_id)
        if self.target.keeps_owners:
            return image
        draft = replace(image, visibility="private", protected=False, os_hidden=False)
        # A hash that has yet to be computed is another thing to write at the end.
        published = draft == image and image.status == "active" and not self.action.add
        origin = self._origin(
            str(Claim.take(datetime.now(UTC), stays=published and bool(image.hashes.value)))
        )
        marks = origin.properties(self.target_id) if origin else {}
        return replace(draft, properties={**image.properties, **marks})

    async def _send(self, stream: AsyncIterator[bytes]) -> None:
        sent = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal sent
            async for block in stream:
                yield block
                sent += len(block)
                self.moved(len(block))

        try:
            await self.target.upload(self.target_id, self._image.size or 0, counted())
        except ConflictError as error:  # to be looked at again; somebody else may be sending
            self.refused = True
            self.moved(-sent)
            raise InterruptedTransfer(str(error)) from error
        except BaseException:
            self.moved(-sent)
            raise
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # both streams generate

    async def _own_reading(self) -> AsyncIterator[bytes]:
        async for block in self.reading.blocks():
            yield block.data

    async def _verify(self) -> Image:
        """Hold what the target says it stored against what was sent; give that."""
        image = await self.target.show(self.target_id)
        if not image.has_data:
            raise InterruptedTransfer(
                f"{self.target.name}: image {image.label}: {image.status} after it was sent"
            )
        sent = self.reading.computed or self._image.hashes
        verdict = sent.agree(image.hashes)
        if verdict is None:
            verdict = self._image.hashes.agree(image.hashes)
        if verdict is None:
            verdict = await self._read_back(sent)
        if image.size != self._image.size or not verdict:
            raise CorruptionError(
                f"{self.target.name}: image {image.label}: the target stored other data than it "
                "was sent; it stays private: look at the target's storage"
            )
        return image

    async def _read_back(self, sent: Hashes) -> bool:
        """Read the target's copy where it recorded no hash that can be compared."""
        state = start_hash(sent)
        async for piece in self.target.read(self.target_id):
            await asyncio.to_thread(state.update, piece)
        return state.hexdigest() == (sent.value or sent.checksum)

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
