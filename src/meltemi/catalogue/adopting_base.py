"""The contract of what a catalogue knows of the adoption of a Glance."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from meltemi.model.adoption import Adoption, Missing, Progress
from meltemi.model.image import Image, Member
from meltemi.model.record import Content, Record


@dataclass(frozen=True, slots=True)
class Known:
    """An image and its members, as they are in the Glance or as they were taken over from it."""

    image: Image
    members: tuple[Member, ...] = ()


class Ledger(Protocol):
    """The adoption of a Glance, and the images that are its own until that is finished.

    Calls, transactions and times are as in `Catalogue`. Whoever compares all images is the
    follower; there is one. A holder whose heart is struck out holds nothing any more.
    """

    async def state(self) -> Adoption | None:
        """Tell how the adoption stands; None where there is none."""

    async def begin(self, endpoint: str, follower: str) -> Adoption:
        """Begin to adopt a Glance, or go on with it, with a follower of all images.

        ConflictError where another one is adopted, or this one was, or the region has images of
        its own.
        """

    async def follow(self, follower: str) -> bool:
        """Become the follower while it runs, unless there is another that lives."""

    async def compared(self, follower: str) -> None:
        """Say that all images have been compared; if it was the first time, it runs from now on.

        ConflictError where another one follows.
        """

    async def hearts(self) -> Mapping[str, int]:
        """Tell how often the hearts of those have beaten who work on this database."""

    async def names(self) -> frozenset[str]:
        """Name all images that are adopted."""

    async def known(self, images: Collection[str]) -> Mapping[str, Known]:
        """Give what is known of these images; those that are not there are left out."""

    async def version(self, image: str) -> int | None:
        """Give the version of an image; None where it is not there."""

    async def is_settled(self, image: str) -> bool:
        """Say whether an image is there, and is not expected to change by itself."""

    async def add(self, follower: str, found: Sequence[Known]) -> None:
        """Take over images that are not there yet; ConflictError where another one follows."""

    async def take(self, found: Known, version: int | None) -> None:
        """Take over an image as it is now, whatever it was.

        StaleRecordError where its version is another: then what was found may be older than what
        is there. Data that it has already stays where it is still the same.
        """

    async def drop(self, image: str, version: int) -> None:
        """Take an image away that the Glance has no longer; StaleRecordError as for `take`."""

    async def claim(self, image: str, holder: str) -> bool:
        """Hold an image to bring its data; False where somebody else does, or it is here."""

    async def claim_next(self, holder: str) -> Record | None:
        """Hold the image that is to be brought next: what never failed first, small ones first."""

    async def fill(self, record: Record, content: Content, holder: str) -> None:
        """Give an image its data, as it was held for; nobody holds it any more.

        ConflictError where it is no longer held, or is to have other data by now.
        """

    async def release(
        self, image: str, holder: str, problem: str | None, *, failed: bool = False
    ) -> None:
        """Hold an image no longer; say what went wrong, and whether the image itself failed."""

    async def begin_passing(self, holder: str) -> tuple[Adoption | None, str | None]:
        """Announce a change that is passed on; give its number while that is allowed, else None."""

    async def end_passing(self, passing: str) -> None:
        """Say that a change has been passed on."""

    async def passings(self) -> int:
        """Count the changes that are being passed on, by those who live."""

    async def progress(self) -> Progress:
        """Sum how far it is."""

    async def missing(self) -> Sequence[Missing]:
        """Give the images that are not wholly here, by their ids."""

    async def own(self) -> Sequence[str]:
        """Give the ids of images that are not the Glance's, but the region's own."""

    async def pause(self, follower: str) -> None:
        """Let nobody change anything, with a follower of all images; ConflictError unless it runs.

        It may be paused already, by one that went away.
        """

    async def resume(self, follower: str) -> None:
        """Let it run again, if it is this follower that paused it."""

    async def complete(self, follower: str, without: Collection[str]) -> None:
        """Let the region stand alone, without some images, whose ids it forgets.

        Images get those hashes that the Glance did not record. ConflictError where others are
        missing, or it is not this follower that paused it.
        """

    async def undo(self) -> int:
        """Forget the adoption, and all images that are the Glance's; give their number.

        ConflictError where there is none, or it is finished.
        """
