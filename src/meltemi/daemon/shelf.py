"""The libraries that a daemon has open."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from meltemi.libraries.base import Library
from meltemi.model.address import LibraryAddress

Opener = Callable[[str, LibraryAddress], Awaitable[Library]]
"""Opens a library by its name and address."""


class Shelf:
    """Opens each library once, when it is first needed, and keeps it open."""

    def __init__(self, addresses: Mapping[str, LibraryAddress], opener: Opener) -> None:
        self._addresses = dict(addresses)
        self._opener = opener
        self._open: dict[str, Library] = {}
        self._doors: dict[str, asyncio.Lock] = {}

    async def get(self, name: str) -> Library:
        """Give a library, opened now unless it is open; raise what keeps it from being opened."""
        async with self._doors.setdefault(name, asyncio.Lock()):
            if name not in self._open:
                self._open[name] = await self._opener(name, self._addresses[name])
            return self._open[name]

    def changed(self, addresses: Mapping[str, LibraryAddress]) -> set[str]:
        """Name the libraries that have another address among these, or none."""
        return {name for name, known in self._addresses.items() if addresses.get(name) != known}

    async def reload(self, addresses: Mapping[str, LibraryAddress]) -> None:
        """Go on with other addresses; what is open under one that changed is closed."""
        changed = self.changed(addresses)
        self._addresses = dict(addresses)
        await self._close(changed & set(self._open))

    async def close(self) -> None:
        """Close every library."""
        await self._close(set(self._open))

    async def _close(self, names: set[str]) -> None:
        libraries = [self._open.pop(name) for name in names]
        await asyncio.gather(*(library.close() for library in libraries))
