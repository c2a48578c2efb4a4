"""Pulling images from a neighbour in the same cloud: an ability that a library may have."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class Way(NamedTuple):
    """How a library reaches another: the region and the interface of its catalogue."""

    region: str
    interface: str


class Pulls(Protocol):
    """How one library fetches images from others by itself; errors are those of `Library`."""

    async def way_to(self, identity: str) -> Way | str:
        """Find a library by its identity, or say in a word why nothing can be fetched from it."""
        ...

    async def pull(
        self,
        image_id: str,
        way: Way,
        source_id: str,
        bases: Sequence[str],
        copied: Callable[[int], None],
    ) -> None:
        """Have a queued image get the data of another one, after which it is active.

        `bases` are images here that probably have much of it. `copied` is told how many bytes of
        the image are there. RefusedError says that nothing came of it: the image is queued.
        """
        ...


@runtime_checkable
class Pulling(Protocol):
    """A library that may be asked to fetch images by itself."""

    @property
    def pulls(self) -> Pulls:
        """Give the way to do so."""
        ...
