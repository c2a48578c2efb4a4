"""The contract that a catalogue keeps."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from meltemi.model.image import Hashes, Member
from meltemi.model.listing import Listing, Viewer
from meltemi.model.record import Content, Part, Record


class Catalogue(Protocol):
    """Image metadata of one region.

    Every call is one transaction: when it returns, what it changed is on disk, and when it raises,
    nothing has changed; when it is cancelled, or its database goes away in the middle, either may
    be so. Calls come from any number of tasks and processes at once. Times are ISO 8601 in UTC
    with microseconds, as `2026-11-25T22:04:07.123456Z`. Where an image, a member or a content is
    not there, VanishedError is raised; that somebody may not see an image is told in the same way.
    A database that fails is a CatalogueError; what it cannot hold, as a NUL in a text or a number
    of more than 64 bits, a RefusedError.
    """

    async def add(self, record: Record) -> Record:
        """Take in a new image without data; ConflictError where its id is or ever was in use.

        Its times are set where it has none. Give it with them, and with its version.
        """

    async def get(self, image: str, viewer: Viewer) -> Record:
        """Give an image that the viewer may see: own, public, community, or shared with it.

        One that has no owner is seen by everybody.
        """

    async def page(self, listing: Listing) -> Sequence[Record]:
        """Give a page of images; VanishedError where the marker is not to be seen.

        What has no value is ordered as the empty text, a size as 0, and texts by their bytes.
        """

    async def change(self, record: Record) -> Record:
        """Replace an image's metadata, on condition that its version is still the record's.

        Status, content and time of creation are not changed; nor are size and hashes where the
        image has content. Give the record with its new version and time of update; raise
        StaleRecordError where it has changed since.
        """

    async def hold(
        self, image: str, *, expected: Sequence[str], status: str, holder: str
    ) -> Record:
        """Change an image's status, on condition that it is one of those expected, for a holder.

        From now on the holder is at work on the image, and counts among those whose hearts beat.
        Raise ConflictError where the status is another.
        """

    async def move(
        self,
        image: str,
        *,
        expected: Sequence[str],
        status: str,
        content: Content | None = None,
        holder: str | None = None,
    ) -> Record:
        """Change an image's status, on condition that it is one of those expected.

        With `content`, the image gets that data, its sizes and hashes; no image can have had it
        before. One that is `uploading` is told its size alone: the content is staged, and not to
        be seen before it is imported. `queued` takes data away. With `holder`, it must be the one
        that holds the image; nobody holds it afterwards. Raise ConflictError where any of it is
        otherwise.
        """

    async def remove(self, image: str) -> Content | None:
        """Delete an image, its members and tags; remember its id for ever.

        Give its content where no other image has it, so that its data can be let go.
        ForbiddenError where it is protected.
        """

    async def clone(self, image: str, record: Record) -> Record:
        """Take in a new image that has the content of another, its sizes and hashes.

        ConflictError where the other has no data, or the new id is or ever was in use.
        """

    async def share(self, image: str, source: str) -> Record:
        """Let a queued image be active, with the content of another, its sizes and hashes.

        ConflictError where it is not queued, or somebody is at work on it; where the other has no
        data; and where their formats differ, since the data was inspected as what the other is.
        """

    async def alike(self, hashes: Hashes, viewer: Viewer, after: str = "") -> Sequence[Record]:
        """Give the images that the viewer may see whose data has a hash, ordered by id.

        There may be more; those come `after` the id of the last one.
        """

    async def having(self, contents: Sequence[str]) -> Mapping[str, str]:
        """Give the ids of all images that have these contents as their data, each with its own."""

    async def beat(self, holder: str) -> Mapping[str, int]:
        """Let a holder's heart beat, for the first time or once more; give all hearts' counts."""

    async def bury(self, holder: str) -> Sequence[str]:
        """Give back what a holder held, whose heart beats no more; it can move nothing any more.

        Images that were to get data are queued again, and tasks have failed. Give the images' ids.
        """

    async def loose(self, limit: int = 1000) -> Sequence[Content]:
        """Give contents that no image has any more, whose data is to be let go; so are parts.

        No image can get them again. They are told until they are forgotten, so that a crash in
        between loses none.
        """

    async def forget(self, content: str) -> None:
        """Strike out a content whose data has been let go, or do nothing where that was done.

        ConflictError where an image has it.
        """

    async def add_part(self, image: str, part: Part, holder: str) -> None:
        """Let an image that waits for its data have a part of it, which is stored by now.

        The holder's heart has to have beaten since before it was stored; it is struck out. Raise
        SessionLostError where it was buried, ConflictError where the number is taken, or the image
        is not `queued`, `saving` or `importing`. An image has its parts until it gets data.
        """

    async def parts(self, image: str) -> Sequence[Part]:
        """Give an image's parts by their numbers; none where there is no such image."""

    async def drop_parts(self, image: str) -> None:
        """Let an image have no parts any more."""

    async def content(self, name: str) -> Content:
        """Give what is known of a content."""

    async def known(self, contents: Sequence[str]) -> frozenset[str]:
        """Say which of these contents are known, those included that are loose."""

    async def has_data(self) -> bool:
        """Say whether there are contents, loose ones included, whose data is to be in the store."""

    async def members(self, image: str) -> Sequence[Member]:
        """Give those whom an image is offered to, by project."""

    async def offer(self, image: str, member: Member) -> Member:
        """Offer an image to a project; ConflictError where it is offered to it already."""

    async def answer(self, image: str, member: Member) -> Member:
        """Set what a project says to an image that is offered to it."""

    async def withdraw(self, image: str, project: str) -> None:
        """Offer an image to a project no longer."""

    async def usage(self, project: str | None) -> Mapping[str, int]:
        """Sum what a project has; without one, what is nobody's.

        `images`, all of them; `bytes` of those that have data; `uploading`, images whose data is
        on its way; `staged_bytes`, those that are staged or being imported, and those of parts.
        """

    async def close(self) -> None:
        """Finish what has begun, and let go of the database."""
