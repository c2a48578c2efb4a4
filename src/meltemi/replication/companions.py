"""Kernels and ramdisks that come along with the images that boot with them.

Whoever owns an image may write any id into its `kernel_id`. So what nobody selected comes along
only where the naming image's owner may see it at the source, and no rule excludes it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from meltemi.errors import ForbiddenError, VanishedError
from meltemi.libraries.base import Library
from meltemi.model.image import Image
from meltemi.replication.mapping import boot_files
from meltemi.replication.selection import Selector


@dataclass(frozen=True, slots=True)
class Companion:
    """An image that selected images boot with, None where the source has lost it.

    `chosen` says whether the selection has it as well; `refused` why it may not come along.
    """

    id: str
    image: Image | None
    chosen: bool = False
    refused: str | None = None


class Companions:
    """What the selected images of one source boot with."""

    def __init__(self, source: Library, selector: Selector) -> None:
        self._source = source
        self._selector = selector
        self._asking: dict[str, set[str | None]] = {}

    def ask_for(self, image: Image) -> None:
        """Note what an image boots with."""
        for image_id in boot_files(image):
            self._asking.setdefault(image_id, set()).add(image.owner)

    async def find(self) -> AsyncIterator[Companion]:
        """Look at each of them at the source."""
        for image_id, owners in sorted(self._asking.items()):
            image = await show_or_none(self._source, image_id)
            if image is None:
                yield Companion(image_id, None)
            elif self._selector.rejects(image) is None:
                yield Companion(image_id, image, chosen=True)
            else:
                yield Companion(image_id, image, refused=await self._refuses(image, owners))

    async def _refuses(self, image: Image, owners: set[str | None]) -> str | None:
        if (reason := self._selector.excludes(image)) is not None:
            return reason
        if image.owner in owners or image.visibility in ("public", "community"):
            return None
        if image.visibility == "shared" and await self._has_accepted(image, owners):
            return None
        return f"at the source, it is {image.visibility} and of a project that does not share it"

    async def _has_accepted(self, image: Image, owners: set[str | None]) -> bool:
        try:
            members = await self._source.list_members(image.id)
        except (ForbiddenError, VanishedError):  # it has ceased to be shared
            return False
        return any(member.status == "accepted" and member.id in owners for member in members)


async def show_or_none(library: Library, image_id: str) -> Image | None:
    """Give one image, None where it is not there."""
    try:
        return await library.show(image_id)
    except VanishedError:
        return None
