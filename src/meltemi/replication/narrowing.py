"""Planning some images of a route without reading whole listings.

Of each library only those images are listed that can matter for the ones in question, so `survey`
comes to the same plan for them. What it says of others is to be left aside (`of_these`).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from meltemi.errors import MeltemiError
from meltemi.libraries.base import Library
from meltemi.libraries.finding import Excerpt, Sought, find
from meltemi.libraries.wrapping import Wrapped
from meltemi.model.image import Image
from meltemi.model.plan import Plan
from meltemi.model.provenance import SOURCE
from meltemi.model.route import Route
from meltemi.replication.mapping import BOOT_FILES, boot_files, map_project
from meltemi.replication.run import Libraries
from meltemi.replication.selection import Selector

MOST: Final = 20
"""Images for which it is worth while; beyond that, listings take less."""

_MOST_ORIGINS: Final = 4
_DEEPEST: Final = 4
"""Images that boot with images that boot with others: nothing real is deeper."""


@dataclass(slots=True)
class Narrowing:
    """What matters at the source for some images of a route: them, and what they boot with.

    `ids` are those of all that has to be looked for at targets.
    """

    route: Route
    images: frozenset[str]
    ids: frozenset[str] = frozenset()
    _found: dict[str, Image] = field(default_factory=dict)

    async def read(self, source: Library, now: datetime) -> bool:
        """Read what matters; say whether that is few enough to go on."""
        fresh = set(self.images)
        for _ in range(_DEEPEST):
            self._take(await find(source, Sought(ids=frozenset(fresh))))
            self.ids |= fresh
            fresh = {i for image in self._found.values() for i in boot_files(image)} - self.ids
            if not fresh or len(self.ids | fresh) > MOST:
                break
        if fresh:
            return False
        selector = Selector(self.route.selection, now=now)
        # What nobody selected comes along with what boots with it, whoever owns that.
        unselected = [i for i, image in self._found.items() if selector.rejects(image) is not None]
        naming = frozenset((name, i) for i in unselected for name in BOOT_FILES)
        self._take(await find(source, Sought(properties=naming)))
        return True

    @property
    def found(self) -> Sequence[Image]:
        """Give those of the images, and of what they boot with, that the source has."""
        return tuple(self._found.values())

    def _take(self, images: Sequence[Image]) -> None:
        self._found |= {image.id: image for image in images}

    async def at(
        self, source: Library, targets: Sequence[Library], origins: Mapping[str, Collection[str]]
    ) -> Libraries:
        """Read what matters at targets; those that cannot be read stand in the errors.

        `origins` are the identities, by target, that renumbered replicas there know the source by,
        besides its own.
        """
        listed, errors = dict(self._found), dict[str, MeltemiError]()

        async def read(target: Library) -> Library | None:
            known = {source.identity, *origins[target.name]}
            marks = frozenset((SOURCE, f"{one}/{i}") for one in known for i in self.ids)
            ours = Sought(ids=self.ids, properties=marks)
            try:
                there = await find(target, replace(ours, names=self._names(target)))
            except MeltemiError as error:
                errors[target.name] = error
                return None
            # An image is in nobody's way by its name where the source has it too, by its id.
            strangers = frozenset(image.id for image in there if image.id not in self.ids)
            twins = {image.id: image for image in await find(source, Sought(ids=strangers))}
            kept = [image for image in there if image.id not in twins or ours.fits(image)]
            listed.update({image.id: twins[image.id] for image in kept if image.id in twins})
            return Excerpt(target, kept)

        excerpts = await asyncio.gather(*map(read, targets))
        found = {excerpt.name: excerpt for excerpt in excerpts if excerpt is not None}
        return Libraries({source.name: Excerpt(source, list(listed.values())), **found}, errors)

    def _names(self, target: Library) -> frozenset[tuple[str, str | None]]:
        if target.keeps_owners:
            return frozenset()
        return frozenset(
            (image.name, map_project(image.owner, self.route.policy, target.project))
            for image_id, image in self._found.items()
            if image.name and image_id in self.ids
        )


def of_these(plan: Plan, images: Collection[str]) -> Plan:
    """Leave out of a plan what is not about some images of its source, or what they boot with."""
    needed = {i for a in plan.actions if a.subject.source_id in images for i in a.needs}
    asked = needed | set(images)
    return replace(
        plan,
        actions=tuple(action for action in plan.actions if action.subject.source_id in asked),
        notes=tuple(note for note in plan.notes if note.subject.source_id in asked),
    )


class Noting(Wrapped):
    """A target that is read whole, of which is noted what its renumbered replicas call sources.

    Of the ids that are `sought`, those stay `missing` that no image there has, or says to be of.
    """

    def __init__(self, inner: Library, route: Route, sought: Iterable[str] = ()) -> None:
        super().__init__(inner)
        self.missing = set(sought)
        self._projects = {inner.project, *route.policy.owners.values()}
        self._origins: set[str] = set()

    @property
    def origins(self) -> frozenset[str] | None:
        """Give the identities that were noted; None where they are too many to look for each."""
        return None if len(self._origins) > _MOST_ORIGINS else frozenset(self._origins)

    async def list_images(self) -> AsyncIterator[list[Image]]:
        """Give every image."""
        async for page in self._inner.list_images():
            for image in page:
                library, _, source_id = image.properties.get(SOURCE, "").rpartition("/")
                self.missing -= {image.id, source_id}
                if library and source_id != image.id and self._counts(image.owner):
                    self._origins.add(library)
            yield page

    def _counts(self, owner: str | None) -> bool:
        return owner in self._projects or "*" in self._projects
