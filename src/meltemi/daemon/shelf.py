"""The libraries that a daemon has open."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from meltemi.libraries.base import Library
from meltemi.model.address import LibraryAddress
from meltemi.model.credential import Credential

Opener = Callable[[str, LibraryAddress, Credential | None], Awaitable[Library]]
"""Opens a library by its name and address, with the credential of an owner where one is given."""

Accounts = Callable[[str, str], Credential]
"""Gives the credential of an owner for a library; raises what keeps it from being had."""

Key = tuple[str, str | None]
"""The name of a library, and the owner that it was opened for."""


class Shelf:
    """Opens each library once, when it is first needed, and keeps it open.

    One on which owners have accounts is opened for each of them.
    """

    def __init__(
        self, addresses: Mapping[str, LibraryAddress], opener: Opener, accounts: Accounts
    ) -> None:
        self._addresses = dict(addresses)
        self._opener = opener
        self._accounts = accounts
        self._open: dict[Key, Library] = {}
        self._doors: dict[Key, asyncio.Lock] = {}

    async def get(self, name: str, owner: str | None = None) -> Library:
        """Give a library, opened now unless it is open; raise what keeps it from being opened."""
        key = name, owner
        async with self._doors.setdefault(key, asyncio.Lock()):
            if key not in self._open:
                credential = None if owner is None else self._accounts(owner, name)
                self._open[key] = await self._opener(name, self._addresses[name], credential)
            return self._open[key]

    async def forget(self, keys: Iterable[Key]) -> None:
        """Close what was opened with a credential that holds no longer."""
        await self._close(set(keys) & set(self._open))

    def changed(self, addresses: Mapping[str, LibraryAddress]) -> set[str]:
        """Name the libraries that have another address among these, or none."""
        return {name for name, known in self._addresses.items() if addresses.get(name) != known}

    async def reload(self, addresses: Mapping[str, LibraryAddress]) -> None:
        """Go on with other addresses; what is open under one that changed is closed."""
        changed = self.changed(addresses)
        self._addresses = dict(addresses)
        await self._close({key for key in self._open if key[0] in changed})

    async def close(self) -> None:
        """Close every library."""
        await self._close(set(self._open))

    async def _close(self, keys: set[Key]) -> None:
        libraries = [self._open.pop(key) for key in keys]
        await asyncio.gather(*(library.close() for library in libraries))
