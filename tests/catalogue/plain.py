"""What a catalogue promises, said a second time: over plain dicts, slow and simple."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from meltemi.errors import (
    ConflictError,
    ForbiddenError,
    MeltemiError,
    StaleRecordError,
    VanishedError,
)
from meltemi.model.image import Hashes, Image, Member
from meltemi.model.listing import Condition, Listing, Viewer
from meltemi.model.record import Content, Record

Outcome = Record | Content | Member | type[MeltemiError] | None


class Plain:
    """A catalogue without times: those are left as the real one said them."""

    def __init__(self) -> None:
        self.burnt: set[str] = set()
        self.images: dict[str, Record] = {}
        self.contents: dict[str, Content] = {}
        self.offers: dict[str, dict[str, Member]] = {}

    def add(self, record: Record) -> Outcome:
        """Take in a new image."""
        if record.image.id in self.burnt:
            return ConflictError
        self.burnt.add(record.image.id)
        self.offers[record.image.id] = {}
        return self._keep(replace(record, version=1))

    def change(self, record: Record) -> Outcome:
        """Replace metadata."""
        if (held := self.images.get(record.image.id)) is None:
            return VanishedError
        if held.version != record.version:
            return StaleRecordError
        kept = ["status", "created_at", "updated_at"]
        if held.content:
            kept += ["size", "virtual_size", "hashes"]
        image = replace(record.image, **{key: getattr(held.image, key) for key in kept})
        return self._keep(replace(held, image=image, version=held.version + 1))

    def move(
        self, image: str, expected: Sequence[str], status: str, content: Content | None
    ) -> Outcome:
        """Change a status."""
        if content and content.id in self.contents:
            return ConflictError
        if (held := self.images.get(image)) is None:
            return VanishedError
        if held.image.status not in expected:
            return ConflictError
        moved = replace(held, image=replace(held.image, status=status), version=held.version + 1)
        if content:
            self.contents[content.id] = content
            shown = (
                Content(content.id, content.size, Hashes()) if status == "uploading" else content
            )
            moved = _with(moved, shown)
        elif status == "queued":
            without = replace(moved.image, size=None, virtual_size=None, hashes=Hashes())
            moved = replace(moved, image=without, content=None)
        return self._keep(moved)

    def remove(self, image: str) -> Outcome:
        """Delete an image."""
        if (held := self.images.get(image)) is None:
            return VanishedError
        if held.image.protected:
            return ForbiddenError
        del self.images[image], self.offers[image]
        return next((one for one in self.loose() if one.id == held.content), None)

    def clone(self, image: str, record: Record) -> Outcome:
        """Take in an image with the content of another."""
        if (held := self.images.get(image)) is None:
            return VanishedError
        if held.content is None or held.image.status in ("uploading", "importing"):
            return ConflictError
        return self.add(_with(record, self.contents[held.content]))

    def share(self, image: str, source: str) -> Outcome:
        """Give a queued image the content of another."""
        if (given := self.images.get(source)) is None:
            return VanishedError
        if given.content is None or given.image.status in ("uploading", "importing"):
            return ConflictError
        if (held := self.images.get(image)) is None:
            return VanishedError
        formats = [(one.image.disk_format, one.image.container_format) for one in (held, given)]
        if held.image.status != "queued" or formats[0] != formats[1]:
            return ConflictError
        active = replace(held, image=replace(held.image, status="active"), version=held.version + 1)
        return self._keep(_with(active, self.contents[given.content]))

    def loose(self) -> list[Content]:
        """Give contents that no image has."""
        held = {record.content for record in self.images.values()}
        return [self.contents[name] for name in sorted(self.contents) if name not in held]

    def forget(self, content: str) -> Outcome:
        """Strike out a content."""
        if any(record.content == content for record in self.images.values()):
            return ConflictError
        self.contents.pop(content, None)
        return None

    def offer(self, image: str, member: Member) -> Outcome:
        """Offer an image."""
        if image not in self.images:
            return VanishedError
        if member.id in self.offers[image]:
            return ConflictError
        self.offers[image][member.id] = member
        return member

    def answer(self, image: str, member: Member) -> Outcome:
        """Answer an offer."""
        if member.id not in self.offers.get(image, {}):
            return VanishedError
        self.offers[image][member.id] = member
        return member

    def withdraw(self, image: str, project: str) -> Outcome:
        """Take an offer back."""
        return None if self.offers.get(image, {}).pop(project, None) else VanishedError

    def sees(self, viewer: Viewer, image: str) -> bool:
        """Tell whether a viewer may see an image."""
        one = self.images[image].image
        return (
            viewer.is_admin
            or one.owner is None
            or one.visibility in ("public", "community")
            or (viewer.project is not None and one.owner == viewer.project)
            or (one.visibility == "shared" and viewer.project in self.offers[image])
        )

    def listed(self, listing: Listing) -> list[str] | type[MeltemiError]:
        """Give the ids of a listing's images, of all pages or those after the marker."""
        if listing.marker is not None and not (
            listing.marker in self.images and self.sees(listing.viewer, listing.marker)
        ):
            return VanishedError
        found = [record.image for record in self.images.values() if self._fits(record, listing)]
        if listing.marker is not None and all(one.id != listing.marker for one in found):
            found.append(self.images[listing.marker].image)
        for key, descends in reversed(listing.order):
            found.sort(key=lambda one, key=key: sortable(one, key), reverse=descends)  # type: ignore[misc]
        names = [one.id for one in found]
        return names[names.index(listing.marker) + 1 :] if listing.marker else names

    def usage(self, project: str | None) -> Mapping[str, int]:
        """Sum what a project has."""
        own = [record for record in self.images.values() if record.image.owner == project]
        staged = [one.image for one in own if one.image.status in ("uploading", "importing")]
        return {
            "images": len(own),
            "bytes": sum(
                one.image.size or 0 for one in own if one.content and one.image not in staged
            ),
            "uploading": len(staged) + sum(one.image.status == "saving" for one in own),
            "staged_bytes": sum(one.size or 0 for one in staged),
        }

    def _fits(self, record: Record, listing: Listing) -> bool:
        image, viewer = record.image, listing.viewer
        own = viewer.project is not None and image.owner == viewer.project
        offer = self.offers[image.id].get(viewer.project or "")
        if listing.visibility is None:
            wanted = own or image.visibility != "community"
        else:
            wanted = listing.visibility in ("all", image.visibility)
        shared = (
            image.visibility == "shared"
            and offer is not None
            and listing.member_status in ("all", offer.status)
        )
        within = viewer.is_admin or own or shared or image.visibility in ("public", "community")
        return (
            wanted
            and within
            and image.os_hidden is listing.hidden
            and listing.tags <= image.tags
            and listing.properties.items() <= image.properties.items()
            and all(_holds(image, condition) for condition in listing.conditions)
        )

    def _keep(self, record: Record) -> Record:
        self.images[record.image.id] = record
        return record


def sortable(image: Image, key: str) -> Any:
    """Give what an image is ordered by."""
    value = getattr(image, key)
    return value if value is not None else 0 if key == "size" else ""


_ANY: Final = {"eq": operator.eq, "neq": operator.ne, "gt": operator.gt, "gte": operator.ge} | {
    "lt": operator.lt,
    "lte": operator.le,
}


def _holds(image: Image, condition: Condition) -> bool:
    value = getattr(image, condition.attribute)
    if value is None:
        return False
    if condition.operator.value == "in":
        return value in condition.values
    return bool(_ANY[condition.operator.value](value, condition.values[0]))


def _with(record: Record, content: Content) -> Record:
    image = replace(
        record.image,
        size=content.size,
        virtual_size=content.virtual_size,
        hashes=content.hashes,
    )
    return replace(record, image=image, content=content.id)
