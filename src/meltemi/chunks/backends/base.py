"""What a chunk store needs of the place where its objects lie."""

from collections.abc import Iterator
from typing import Final, Protocol

from meltemi.chunks.blob import Buffer

FACTS: Final = "store.json"
"""The first object of a store; where it is not, there is no store."""


class Backend(Protocol):
    """Objects by name: written once, read in ranges, listed, deleted.

    Names are relative paths of letters, digits, `.`, `-` and `/`. Every operation may be called
    from any thread, and raises StoreError where the backend fails (UnreachableError where nothing
    answers, QuotaError where it is full, DamageError where a disk cannot read what it has); what is
    worth a retry has been retried by then.
    """

    @property
    def label(self) -> str:
        """Name the backend for people."""
        ...

    def write(self, name: str, data: Buffer) -> None:
        """Store an object, complete and durable, or not at all.

        The caller chooses a name that was never used before: nothing is overwritten. A write that
        failed may have happened all the same.
        """
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Give a range of an object: fewer bytes than asked for only where it ends.

        Raise MissingError where there is no such object. Whether the bytes are those that were
        written, and all of them, no backend can know: a blob is held against its name, a footer
        and a head against their hashes, by whoever asked for them.
        """
        ...

    def size(self, name: str) -> int | None:
        """Give an object's length in bytes, or None where there is none; always up to date."""
        ...

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """Give the names and lengths of the objects below a folder, in no order.

        What was written or deleted a moment ago may be missing, or be there still.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete an object; one that is not there is deleted already."""
        ...

    def tidy(self) -> int:
        """Delete what interrupted writes have left behind; give how many objects that were."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...
