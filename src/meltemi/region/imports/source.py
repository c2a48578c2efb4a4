"""What an import gets from where it imports."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from meltemi.model.image import Hashes
from meltemi.model.task import Carried


@dataclass(frozen=True, slots=True)
class Fetched:
    """An image's data as it comes, and what is said about it.

    `length` is in bytes. What comes must have the `hashes`, as far as they are known.
    """

    data: AsyncIterator[bytes]
    length: int | None = None
    hashes: Hashes = field(default_factory=Hashes)
    carried: Carried | None = None


Source = AbstractAsyncContextManager[Fetched]
"""Connects when it is entered, and lets go when it is left."""
