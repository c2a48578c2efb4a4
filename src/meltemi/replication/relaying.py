"""Relays: copies to all other targets of a route take their data from one of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from meltemi.model.image import Hashes, Image
from meltemi.model.plan import Action, Note, Plan, Relay, Standing
from meltemi.model.provenance import COMPUTED, PENDING
from meltemi.replication.claim import unfinished
from meltemi.replication.companions import show_or_none
from meltemi.replication.learnt import Learnt
from meltemi.replication.ownership import own_mark

_AT_ONCE: Final = 16
"""Images that are looked for at the same time."""


@dataclass(frozen=True, slots=True)
class Relaying:
    """What others can have from a relay: what was learnt of it, and what it gets by a plan.

    `learnt` is None where it cannot be read. By the ids of source images, `coming` are the ids that
    they will have there, and `left` says why others are left alone.
    """

    name: str
    learnt: Learnt | None = None
    coming: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def seen(cls, learnt: Learnt, plan: Plan) -> "Relaying":
        """Tell of a relay that was read, and is among the targets of a plan."""
        name = learnt.library.name
        copies = [a for a in plan.actions if a.sends and a.subject.target == name]
        notes = [note for note in plan.notes if note.subject.target == name]
        return cls(
            name,
            learnt,
            {action.subject.source_id: action.target_id for action in copies},
            {note.subject.source_id: note.reason for note in notes},
        )


async def relayed(plan: Plan, relay: Relaying, sources: Mapping[str, Image]) -> Plan:
    """Let the copies to all targets but the relay take their data from there.

    What the relay neither has nor gets is not copied, nor is what boots with it; notes say why.
    `sources` are the images that are copied.
    """
    name = relay.name
    copies = [a for a in plan.actions if a.sends and a.subject.target != name]
    gate = asyncio.Semaphore(_AT_ONCE)

    async def find(source: Image) -> Relay | None:
        if source.id in relay.coming:
            return Relay(name, relay.coming[source.id], source.hashes, is_coming=True)
        if relay.learnt is None:
            return None
        async with gate:
            return await _find(source, relay.learnt)

    ids = list(dict.fromkeys(action.subject.source_id for action in copies))
    found = dict(zip(ids, await asyncio.gather(*(find(sources[i]) for i in ids)), strict=True))
    reasons = _reasons(copies, found, _why(relay))
    actions = [
        _from_relay(action, found) if action.sends and action.subject.target != name else action
        for action in plan.actions
        # The image whose place it would have taken stays, too.
        if _place(action) not in reasons
    ]
    notes = [
        Note(action.subject, Standing.CONFLICT, reasons[_place(action)])
        for action in copies
        if _place(action) in reasons
    ]
    return replace(plan, actions=tuple(actions), notes=(*plan.notes, *notes))


async def _find(source: Image, relay: Learnt) -> Relay | None:
    """Find an image at the relay that has the source's data."""
    mapped = relay.mapped_to(source)
    for image in (mapped, await show_or_none(relay.library, source.id)):
        if image is not None and (hashes := _hashes(source, image, relay)):
            return Relay(relay.library.name, image.id, hashes)
    return None


def _hashes(source: Image, image: Image, relay: Learnt) -> Hashes | None:
    """Give the hashes that the data of the relay's image has to have, None where it is no use.

    What the source recorded is held against every byte that is read there. Where it recorded
    nothing, the word of the relay's image counts, if it is ours and was verified.
    """
    if not image.has_data or image.size != source.size:
        return None
    if source.hashes:
        return None if source.hashes.agree(image.hashes) is False else source.hashes
    if relay.library.keeps_owners:
        return image.hashes
    origin = own_mark(image, owner=relay.owner_of(source), source_id=source.id)
    if origin is None or origin.source_hash == PENDING or unfinished(image, origin):
        return None
    algorithm, _, value = origin.source_hash.removeprefix(COMPUTED).partition(":")
    return Hashes(algorithm=algorithm, value=value)


def _why(relay: Relaying) -> Mapping[str, str]:
    """Say what keeps images from the relay, by their ids; the empty id stands for all others."""
    if relay.learnt is None:
        return {"": f"the relay {relay.name} cannot be read"}
    without = f"the relay {relay.name} has it not"
    told = {image_id: f"{without} ({reason})" for image_id, reason in relay.left.items()}
    return {"": without, **told}


def _reasons(
    copies: list[Action], found: Mapping[str, Relay | None], why: Mapping[str, str]
) -> dict[tuple[str, str], str]:
    """Say why copies are not to be made, by target and source image."""
    reasons = {
        _place(copy): f"{copy.reason}; not copied: {why.get(copy.subject.source_id, why[''])}"
        for copy in copies
        if found[copy.subject.source_id] is None
    }
    while more := {
        _place(copy): f"image {image_id}, which it boots with, will not be there"
        for copy in copies
        for image_id in copy.needs
        if _place(copy) not in reasons and (copy.subject.target, image_id) in reasons
    }:
        reasons |= more
    return reasons


def _place(action: Action) -> tuple[str, str]:
    return action.subject.target, action.subject.source_id


def _from_relay(action: Action, found: Mapping[str, Relay | None]) -> Action:
    relay = found[action.subject.source_id]
    if relay is None:
        raise AssertionError("a copy that lacks its relay's image has been taken out")
    return replace(action, relay=relay, reason=f"{action.reason}; from the relay {relay.library}")
