"""The ability to prove image data whole without moving it."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Verifiable(Protocol):
    """A library that can hold its own data against what it recorded of it."""

    async def verify(self, image_id: str) -> None:
        """Read all of an image's data where it lies, and hash it.

        Raise `CorruptionError` where it was altered, `ArchiveError` where it is missing, and
        `ConflictError` where the image has none.
        """
        ...
