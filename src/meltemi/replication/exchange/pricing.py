"""Planning exchanges: what copies will be made of, and how many bytes that takes at most."""

import asyncio
import logging
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from meltemi.chunks.exchange.delta import (
    MOST_PARTS,
    Origin,
    Outline,
    Stretch,
    encode_outline,
    encode_stretch,
)
from meltemi.chunks.exchange.gathering import Gatherer, Joiner, spans
from meltemi.errors import ImageError, MeltemiError
from meltemi.libraries.base import Library
from meltemi.libraries.exchanging import Exchange
from meltemi.model.image import Image
from meltemi.model.plan import Action, Kind, Plan
from meltemi.model.units import format_size
from meltemi.replication.exchange.bases import Bases, Kin, Seen
from meltemi.replication.exchange.comparing import Ends, compare, meet

_log: Final = logging.getLogger(__name__)

_AT_ONCE: Final = 4
"""Images that are compared at the same time."""

_LINES: Final = 1024
"""Lines of a delta that are looked at together."""

_HEAD: Final = 1024
_HEAD_OF_PIECE: Final = 36
"""Bytes that a batch takes at most besides its pieces, and for each of them."""


async def priced(
    plan: Plan,
    source: Library,
    targets: Sequence[Library],
    seen: Mapping[str, Seen] = MappingProxyType({}),
    arriving: Collection[tuple[str, str]] = (),
) -> Plan:
    """Find out for every copy whether it can be exchanged; say what that takes, or why it cannot.

    Where nothing is to be copied, nothing is asked. What was `seen` of targets when the plan was
    made is not asked again. What another plan brings to a library is `arriving` there.
    """
    actions = list(plan.actions)
    senders = {library.name: library for library in (source, *targets)}
    awaited = {(a.subject.target, a.subject.source_id) for a in actions if a.sends} | {*arriving}
    for target in targets:
        numbers = [n for n, action in enumerate(actions) if _sends(action, target)]
        copies = [actions[number] for number in numbers]
        priced = await _priced(copies, senders, target, awaited, seen.get(target.name))
        for number, action in zip(numbers, priced, strict=True):
            actions[number] = action
    return replace(plan, actions=tuple(actions))


def _sends(action: Action, target: Library) -> bool:
    return action.kind is Kind.COPY and action.bytes > 0 and action.subject.target == target.name


async def _priced(
    copies: Sequence[Action],
    senders: Mapping[str, Library],
    target: Library,
    arriving: Container[tuple[str, str]],
    seen: Seen | None,
) -> Sequence[Action]:
    """Price the copies to one target, all of which one library sends.

    What is yet `arriving` at that library is looked at where it comes from.
    """
    if not copies:
        return copies
    source, sender = copies[0].subject.source, copies[0].sender
    awaited = {a.subject.source_id for a in copies if (sender, a.subject.source_id) in arriving}
    try:
        ends = await meet(senders[sender], target)
        if not isinstance(ends, Ends):
            return [_streamed(action, ends) for action in copies] if ends else copies
        from_source = await meet(senders[source], target) if awaited else None
        chosen = await _chosen(copies, target, seen)
    except MeltemiError as error:
        return [_streamed(action, f"nothing can be compared ({error})") for action in copies]
    at_source = {action.target_id: image for action in copies if (image := action.image)}
    at_sender = {
        action.target_id: _at_sender(action, image)
        for action in copies
        if (image := action.image) and image.id not in awaited
    }
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(action: Action, image_id: str, bases: tuple[str, ...]) -> Action:
        here: Ends[Exchange] | str | None = ends
        coming = at_sender
        if image_id in awaited:
            here, coming = from_source, at_source
        if not isinstance(here, Ends):
            reason = f"{action.reason}; by pieces, which {sender} has yet to get"
            return replace(action, reason=reason, wire=action.bytes, bases=bases)
        async with gate:
            return await _by_pieces(here, action, coming[action.target_id], bases, coming)

    both = zip(copies, chosen, strict=True)
    return await asyncio.gather(*(one(a, a.subject.source_id, ids) for a, ids in both))


async def _chosen(
    copies: Sequence[Action], target: Library, seen: Seen | None
) -> Sequence[tuple[str, ...]]:
    """Choose bases for each copy: images of the target, or one that is copied before it."""
    images = [image for action in copies if (image := action.image)]
    bases, kin = Bases(images), Kin(images)
    if seen is not None and (listed := seen.all) is not None:
        for image in listed:
            bases.look(image)
    else:
        async for page in target.list_images():
            for image in page:
                bases.look(image)
    ids = {image.id: action.target_id for action in copies if (image := action.image)}
    # What boots with others waits for them in its slot; those must wait for nobody.
    needed = {image_id for action in copies for image_id in action.needs}
    chosen = []
    for image in images:
        found = bases.choose(image)
        first = None if found or image.id in needed else kin.find(image)
        chosen.append(found if first is None else (ids[first.id],))
    return chosen


def _at_sender(action: Action, image: Image) -> Image:
    relay = action.relay
    return image if relay is None else replace(image, id=relay.image_id, hashes=relay.hashes)


async def _by_pieces(
    ends: Ends[Exchange],
    action: Action,
    image: Image,
    bases: tuple[str, ...],
    coming: Mapping[str, Image],
) -> Action:
    try:
        wire = await _estimate(ends, action, image, bases, coming)
    except ImageError as error:
        return _streamed(action, f"its pieces cannot be compared ({error})")
    if wire >= action.bytes:
        return _streamed(action, "pieces would be no fewer bytes")
    reason = f"{action.reason}; by pieces, at most {format_size(wire)}"
    return replace(action, reason=reason, wire=wire, bases=bases)


def _streamed(action: Action, why: str) -> Action:
    return replace(action, reason=f"{action.reason}; as a whole: {why}")


async def _estimate(
    ends: Ends[Exchange],
    action: Action,
    image: Image,
    bases: Sequence[str],
    coming: Mapping[str, Image],
) -> int:
    """Say how many bytes cross the wire at most: pieces as they are kept, manifests, and delta."""
    incoming = action.target_id if action.filling else None
    comparison = await compare(ends, image, bases, incoming, coming=coming)
    gatherer = Gatherer()
    wire = len(encode_outline(Outline(image.size or 0, comparison.images)))
    joiner, lines = Joiner(), list[Stretch]()

    async def ask() -> int:
        if (batch := gatherer.take(ends.terms.most_pieces)) is None:
            return 0
        size = await ends.source.batch_size(image.id, spans(batch.pieces))
        heads = batch.size // ends.terms.largest_batch + 1
        return size + heads * _HEAD + len(batch.pieces) * _HEAD_OF_PIECE

    async with aclosing(comparison.found) as found:
        async for one in found:
            if isinstance(one, Stretch):
                lines.append(one)
            else:
                length, at = gatherer.add(one)
                lines.append(Stretch(length, Origin.PART, MOST_PARTS - 1, at))
                if gatherer.count == ends.terms.most_pieces:
                    wire += await ask()
            if len(lines) == _LINES:
                wire += _length(joiner.feed(lines))
                lines = []
    wire += _length([*joiner.feed(lines), *joiner.finish()])
    return wire + await ask() + comparison.read


def _length(stretches: Iterable[Stretch]) -> int:
    return sum(len(encode_stretch(stretch)) for stretch in stretches)
