"""The region's own account at Keystone."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from meltemi.errors import AuthenticationError, IdentityError
from meltemi.region.identity.flight import SingleFlight

RENEWED_AHEAD: Final = 120.0
"""Seconds before its end at which the own token is replaced, or half of its life."""

_ADMIN: Final = "admin"


@dataclass(frozen=True, slots=True)
class Access:
    """The own token, the address of the Identity API that takes it, and until when it is good.

    One that is of the system speaks for no project. `roles` are those that it gives, in lower case.
    """

    token: str
    url: str
    fresh_until: float
    is_of_system: bool = False
    roles: frozenset[str] = frozenset()


class Account:
    """Logs in at Keystone, and again before the token ends.

    `session` is keystoneauth's, with a plugin that logs in somewhere. It blocks, and so works in a
    thread, one at a time.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._access: Access | None = None
        self._logins: SingleFlight[None, Access] = SingleFlight()

    async def access(self, *, refused: str | None = None) -> Access:
        """Give a token that is good for a request now; another one than Keystone has `refused`.

        Raise IdentityError where Keystone cannot be reached, or does not let the account in.
        """
        held = self._access
        if held and held.token != refused and time.monotonic() < held.fresh_until:
            return held
        return await self._logins.do(None, self._renew)

    async def admin_token(self, cannot: str, *, refused: str | None = None) -> str:
        """Give a token as `access` does, of an account that has the role admin.

        Raise AuthenticationError where it has not, and so `cannot` do something.
        """
        access = await self.access(refused=refused)
        if _ADMIN not in access.roles:
            raise AuthenticationError(
                "the account of this region (keystone.auth) has not the role admin, and so "
                f"cannot {cannot}"
            )
        return access.token

    async def close(self) -> None:
        """Wait for no login any more."""
        await self._logins.close()

    async def _renew(self) -> Access:
        self._access = await asyncio.to_thread(self._login)
        return self._access

    def _login(self) -> Access:
        from keystoneauth1 import exceptions, plugin  # noqa: PLC0415 - slow to import

        auth = self._session.auth
        try:
            auth.invalidate()
            access = auth.get_access(self._session)
            url = auth.get_endpoint(self._session, interface=plugin.AUTH_INTERFACE, version=(3, 0))
        except (exceptions.Unauthorized, exceptions.Forbidden) as error:
            raise IdentityError(
                f"Keystone does not let this service in: {error}; see identity.auth"
            ) from error
        except exceptions.ClientException as error:
            raise IdentityError(f"no token for this service: {error}") from error
        if url is None:
            raise IdentityError("Keystone does not offer the Identity API v3; see identity.auth")
        left = access.expires.timestamp() - time.time()
        fresh = left - min(RENEWED_AHEAD, left / 2)
        roles = frozenset(name.lower() for name in access.role_names)
        return Access(
            access.auth_token,
            url.rstrip("/"),
            time.monotonic() + fresh,
            is_of_system=access.system_scoped,
            roles=roles,
        )
