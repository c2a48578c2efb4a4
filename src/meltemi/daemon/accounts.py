"""Accounts of owners in libraries that the daemon has none on."""

import logging
from collections.abc import Callable
from typing import Final

from meltemi.daemon.state.credentials import Credentials
from meltemi.daemon.state.records import Locked
from meltemi.daemon.vault import Vault
from meltemi.errors import AuthenticationError, StateError
from meltemi.model.credential import Credential

_log: Final = logging.getLogger(__name__)


class Accounts:
    """The credentials that owners have left, as they were last read from the state.

    `open_vault` gives what opens them, None where nothing does; it is asked whenever they are read,
    since the file of keys may have changed, or been named only now.
    """

    def __init__(self, credentials: Credentials, open_vault: Callable[[], Vault | None]) -> None:
        self._credentials = credentials
        self._open_vault = open_vault
        self._vault: Vault | None = None
        self._locked: dict[tuple[str, str], Locked] = {}

    async def renew(self) -> None:
        """Encrypt with the first key what is encrypted with another."""
        vault = self._open_vault()
        if vault is None:
            return
        found = [(one, vault.renewed(one.secret)) for one in await self._credentials.read()]
        changed = [(one, secret) for one, secret in found if secret is not None]
        if changed:
            await self._credentials.relock(changed)
        _log.info("%d credentials were encrypted anew, with the first key", len(changed))

    async def refresh(self) -> set[tuple[str, str]]:
        """Read them again; give library and owner of those that are not as they were."""
        before, self._vault = self._locked, self._open_vault()
        found = await self._credentials.read()
        self._locked = {(one.library, one.owner): one for one in found}
        both = before.keys() | self._locked.keys()
        return {key for key in both if before.get(key) != self._locked.get(key)}

    def owners(self, library: str) -> list[str]:
        """Name the projects that have an account in a library."""
        return sorted(owner for name, owner in self._locked if name == library)

    def has(self, owner: str | None, library: str) -> bool:
        """Say whether a project has an account in a library."""
        return owner is not None and (library, owner) in self._locked

    def credential(self, owner: str, library: str) -> Credential:
        """Give what a project's account is; AuthenticationError where it cannot be had."""
        locked = self._locked.get((library, owner))
        if locked is None or self._vault is None:
            raise AuthenticationError(
                f"{library}: project {owner} has left no credential for it", library=library
            )
        try:
            return self._vault.open(owner, library, locked.secret)
        except StateError as error:
            raise AuthenticationError(str(error), library=library) from None
