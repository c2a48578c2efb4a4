"""The contract of a catalogue of metadata definitions."""

from collections.abc import Sequence
from typing import Protocol

from meltemi.model.definitions import (
    Definition,
    Described,
    Existing,
    Kind,
    Namespace,
    NamespaceListing,
    ResourceType,
)
from meltemi.model.listing import Viewer


class Definitions(Protocol):
    """The metadata definitions of one region.

    Calls, transactions and times are as in `Catalogue`. A namespace or a definition that is not
    there is a VanishedError, a name that is taken a ConflictError. What a protected namespace
    defines is not deleted, nor is the namespace: ForbiddenError.
    """

    async def page(self, listing: NamespaceListing) -> Sequence[Described]:
        """Give a page of the namespaces that are public or the viewer's, to an admin of all.

        Of what they define, give their resource types.
        """

    async def get(self, namespace: str, viewer: Viewer) -> Namespace:
        """Give a namespace that is public, the viewer's, or nobody's."""

    async def describe(self, namespace: str, viewer: Viewer) -> Described:
        """Give such a namespace with everything that it defines."""

    async def add(self, described: Described) -> Namespace:
        """Take in a new namespace with what it defines; give it with its times."""

    async def load(self, described: Described, existing: Existing) -> bool:
        """Take in a namespace that may be there, protected or not; say whether anything was done.

        What is new has no time of update.
        """

    async def change(self, namespace: str, wanted: Namespace) -> Namespace:
        """Replace a namespace's attributes, its name among them; give it with its times."""

    async def remove(self, namespace: str) -> None:
        """Delete a namespace and everything that it defines."""

    async def listed(self, namespace: str, kind: Kind) -> Sequence[Definition]:
        """Give what a namespace defines of one kind, in the order in which it was made."""

    async def find(self, namespace: str, kind: Kind, name: str) -> Definition:
        """Give one definition."""

    async def define(
        self, namespace: str, wanted: Sequence[Definition], *, replace: bool = False
    ) -> Sequence[Definition]:
        """Add definitions, all or none; give them with their times.

        With `replace`, all that the namespace has of their kinds goes first, protected or not.
        """

    async def redefine(self, namespace: str, name: str, wanted: Definition) -> Definition:
        """Replace a definition, its name included; give it with its times."""

    async def undefine(self, namespace: str, kind: Kind, name: str) -> None:
        """Delete a definition."""

    async def clear(self, namespace: str, kind: Kind) -> None:
        """Delete everything that a namespace defines of one kind."""

    async def resource_types(self) -> Sequence[ResourceType]:
        """Give every resource type that a namespace is, or once was, associated with."""
