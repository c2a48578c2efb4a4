"""The contract that every library keeps; `tests/libraries/conformance.py` holds them to it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from meltemi.model.image import Image, Member, Value


@dataclass(frozen=True, slots=True)
class Changes:
    """Attributes to set and properties to remove, named as in the Image API (flat)."""

    set: Mapping[str, Value]
    remove: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.set or self.remove)


class Library(Protocol):
    """Anything that holds images and can be read or written.

    Every method raises only errors of `meltemi.errors`. `VanishedError` says that the image is
    not there (or not visible), `ForbiddenError` that policy stands in the way, `ConflictError`
    that the id is taken or the state does not fit, `InterruptedTransfer` that the same call may
    succeed later. Safe requests are retried by the library itself; `upload` never is.
    """

    @property
    def name(self) -> str:
        """Give what the user calls it."""
        ...

    @property
    def identity(self) -> str:
        """Give what provenance calls it: the same however it is addressed."""
        ...

    @property
    def project(self) -> str | None:
        """Give the project that new images belong to; None where there are no projects."""
        ...

    @property
    def keeps_owners(self) -> bool:
        """Say whether images keep their owners and visibility, and bear no mark of origin."""
        ...

    def list_images(self) -> AsyncIterator[list[Image]]:
        """Give every visible image once, hidden ones included, in pages ascending by id."""
        ...

    async def show(self, image_id: str) -> Image:
        """Give one image."""
        ...

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Give the projects that a shared image is offered to, ordered by project."""
        ...

    def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Give the image's data from `offset` on; the end of the iterator may be premature."""
        ...

    async def create(self, image: Image) -> Image:
        """Register an image without data, with the given attributes.

        An empty `id` lets the library choose one; `owner` None is the library's own project.
        `status`, `size` and hashes are not set by it. Raise `ConflictError` where the id is in
        use or was ever used.
        """
        ...

    async def upload(self, image_id: str, size: int, data: AsyncIterator[bytes]) -> None:
        """Send `size` bytes, after which the image is active.

        An exception out of `data` goes through unchanged and leaves the image queued, to be
        filled again. `ConflictError` says that the image has its data, or somebody sends it.
        """
        ...

    async def update(self, image_id: str, changes: Changes) -> Image:
        """Set and remove attributes and properties; `status` active or deactivated as well."""
        ...

    async def add_member(self, image_id: str, member: Member) -> None:
        """Offer a shared image to a project, with the given status where policy allows it."""
        ...

    async def remove_member(self, image_id: str, project: str) -> None:
        """Withdraw the offer; no error where there was none."""
        ...

    async def delete(self, image_id: str) -> None:
        """Delete the image; its id can never be used again."""
        ...

    async def close(self) -> None:
        """Release connections and locks."""
        ...


@runtime_checkable
class Verifiable(Protocol):
    """A library that can hold its own data against what it recorded of it."""

    async def verify(self, image_id: str) -> None:
        """Read all of an image's data where it lies, and hash it.

        Raise `CorruptionError` where it was altered, `ArchiveError` where it is missing, and
        `ConflictError` where the image has none.
        """
        ...
