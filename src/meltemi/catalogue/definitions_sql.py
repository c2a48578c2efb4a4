"""Metadata definitions in a database."""

from collections.abc import Sequence
from functools import partial

from meltemi.catalogue import definitions, namespaces
from meltemi.catalogue.database import Database
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


class SqlDefinitions:
    """Metadata definitions in SQLite or PostgreSQL; see `Definitions` for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, listing: NamespaceListing) -> Sequence[Described]:
        """Give a page of namespaces with their resource types."""
        return await self._database.read(partial(definitions.page, listing=listing))

    async def get(self, namespace: str, viewer: Viewer) -> Namespace:
        """Give a namespace that the viewer may see."""
        return await self._database.read(
            lambda connection: namespaces.to_namespace(
                namespaces.row(connection, namespace, viewer)
            )
        )

    async def describe(self, namespace: str, viewer: Viewer) -> Described:
        """Give such a namespace with everything that it defines."""
        return await self._database.read(
            partial(definitions.describe, namespace=namespace, viewer=viewer)
        )

    async def add(self, described: Described) -> Namespace:
        """Take in a new namespace with what it defines."""
        return await self._database.write(partial(definitions.add, described=described))

    async def load(self, described: Described, existing: Existing) -> bool:
        """Take in a namespace that may be there."""
        return await self._database.write(
            partial(definitions.load, described=described, existing=existing)
        )

    async def change(self, namespace: str, wanted: Namespace) -> Namespace:
        """Replace a namespace's attributes."""
        return await self._database.write(partial(namespaces.change, name=namespace, wanted=wanted))

    async def remove(self, namespace: str) -> None:
        """Delete a namespace and everything that it defines."""
        await self._database.write(partial(namespaces.remove, name=namespace))

    async def listed(self, namespace: str, kind: Kind) -> Sequence[Definition]:
        """Give what a namespace defines of one kind."""
        return await self._database.read(
            partial(definitions.listed, namespace=namespace, kind=kind)
        )

    async def find(self, namespace: str, kind: Kind, name: str) -> Definition:
        """Give one definition."""
        return await self._database.read(
            partial(definitions.find, namespace=namespace, kind=kind, name=name)
        )

    async def define(
        self, namespace: str, wanted: Sequence[Definition], *, replace: bool = False
    ) -> Sequence[Definition]:
        """Add definitions, all or none."""
        return await self._database.write(
            partial(definitions.define, namespace=namespace, wanted=wanted, replace=replace)
        )

    async def redefine(self, namespace: str, name: str, wanted: Definition) -> Definition:
        """Replace a definition."""
        return await self._database.write(
            partial(definitions.redefine, namespace=namespace, name=name, wanted=wanted)
        )

    async def undefine(self, namespace: str, kind: Kind, name: str) -> None:
        """Delete a definition."""
        await self._database.write(
            partial(definitions.undefine, namespace=namespace, kind=kind, name=name)
        )

    async def clear(self, namespace: str, kind: Kind) -> None:
        """Delete everything that a namespace defines of one kind."""
        await self._database.write(partial(definitions.clear, namespace=namespace, kind=kind))

    async def resource_types(self) -> Sequence[ResourceType]:
        """Give every resource type."""
        return await self._database.read(definitions.all_resource_types)
