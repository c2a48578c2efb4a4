"""Relays: copies to all other targets of a route take their data from one of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
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


async def relayed(
    plan: Plan, name: str, relay: Learnt | None, sources: Mapping[str, Image]
) -> Plan:
    """Let the copies to all targets but the relay take their data from there.

    What the relay neither has nor gets by this plan is not copied, nor is what boots with it; notes
    say why. `relay` is None where it cannot be read. `sources` are the images that are copied.
    """
    copies = [a for a in plan.actions if a.sends and a.subject.target != name]
    coming = {
        a.subject.source_id: a.target_id
        for a in plan.actions
        if a.sends and a.subject.target == name
    }
    gate = asyncio.Semaphore(_AT_ONCE)

    async def find(source: Image) -> Relay | None:
        if source.id in coming:
            return Relay(name, coming[source.id], source.hashes)
        if relay is None:
            return None
        async with gate:
            return await _find(source, relay)

    ids = list(dict.fromkeys(action.subject.source_id for action in copies))
    found = dict(zip(ids, await asyncio.gather(*(find(sources[i]) for i in ids)), strict=True))
    reasons = _reasons(copies, found, _why(plan, name, relay))
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


def _why(plan: Plan, name: str, relay: Learnt | None) -> Mapping[str, str]:
    """Say what keeps images from the relay, by their ids; the empty id stands for all others."""
    if relay is None:
        return {"": f"the relay {name} cannot be read"}
    without = f"the relay {name} has it not"
    told = {
        note.subject.source_id: f"{without} ({note.reason})"
        for note in plan.notes
        if note.subject.target == name
    }
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
