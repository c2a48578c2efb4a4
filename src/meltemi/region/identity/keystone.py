"""Tokens of Keystone."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from meltemi.errors import IdentityError, UnauthorizedError
from meltemi.model.token import is_token
from meltemi.region.context import Context, request_id
from meltemi.region.identity.asking import Asking
from meltemi.region.identity.catalog import find_endpoint
from meltemi.region.identity.flight import SingleFlight
from meltemi.region.identity.grant import Grant, parse_grant

SERVICE_ROLE: Final = "service"
"""The role by which Keystone marks the accounts of a cloud's own services."""

REMEMBERED: Final = 10_000
"""Tokens that are remembered at most; the ones used longest ago are forgotten first."""

_Key = tuple[bytes, bool]


class Keystone:
    """Asks Keystone whose a token is, and remembers the answer for `remember` seconds at most.

    A token that is revoked is known for that long, too. While Keystone is away, tokens that are
    remembered go on; of any other, nothing can be said, which is an IdentityError, not a refusal.

    A request that another service passes on has that service's token as well; then the user's may
    have ended meanwhile. Tokens of application credentials with access rules are not accepted:
    Keystone gives them only to those who say that they hold to such rules.

    `uri` is where clients are sent to authenticate; `is_admin` says who is an administrator.
    """

    def __init__(
        self,
        asking: Asking,
        *,
        uri: str,
        is_admin: Callable[[Context], bool],
        remember: float = 300.0,
    ) -> None:
        self._asking = asking
        self._challenge = f'Keystone uri="{uri}"'
        self._is_admin = is_admin
        self._remember = remember
        self._known: OrderedDict[_Key, tuple[float, Grant]] = OrderedDict()
        self._questions: SingleFlight[_Key, Grant] = SingleFlight()

    async def authenticate(self, headers: Mapping[str, str]) -> Context:
        """Give whom X-Auth-Token speaks for, and X-Service-Token if there is one."""
        token = (headers.get("X-Auth-Token") or headers.get("X-Storage-Token") or "").strip()
        service_token = headers.get("X-Service-Token", "").strip()
        if not token:
            raise self._refusal()
        service: Mapping[str, Any] = {}
        if service_token:
            service = _as_service(await self._grant(service_token, ended_too=False))
            if SERVICE_ROLE not in service["service_roles"]:
                raise self._refusal()
        grant = await self._grant(token, ended_too=bool(service))
        context = Context(
            user=grant.user,
            user_domain=grant.user_domain,
            project=grant.project,
            project_domain=grant.project_domain,
            domain=grant.domain,
            system_scope=grant.system_scope,
            roles=grant.roles,
            is_admin_project=grant.is_admin_project,
            request_id=request_id(headers),
            token=token,
            **service,
        )
        return replace(context, is_admin=self._is_admin(context))

    async def endpoint(
        self, context: Context, service: str, region: str, interface: str
    ) -> str | None:
        """Look into the catalogue that the user's token has."""
        access = await self._asking.account.access()
        asked = f"{access.url}/auth/catalog"
        status, body = await self._asking.get(asked, {"X-Auth-Token": context.token or ""})
        try:
            if status == HTTPStatus.OK:
                return find_endpoint(body["catalog"], service, region, interface)
        except (KeyError, TypeError, AttributeError):
            pass
        raise IdentityError(f"{asked} answers {status} where it should give a user's catalogue")

    async def check(self) -> None:
        """Let Keystone judge the region's own token; IdentityError where it does not."""
        access = await self._asking.account.access()
        with suppress(UnauthorizedError):  # it was revoked: Keystone has done its part
            await self._ask(access.token, ended_too=False)

    async def close(self) -> None:
        """End the connections to Keystone, and what is being asked there."""
        await self._questions.close()
        await self._asking.close()

    async def _grant(self, token: str, *, ended_too: bool) -> Grant:
        if not is_token(token):
            raise self._refusal()
        key = (sha256(token.encode()).digest(), ended_too)
        until, grant = self._known.get(key, (0.0, None))
        if grant is None or time.monotonic() >= until:
            return await self._questions.do(key, partial(self._learn, key, token))
        self._known.move_to_end(key)
        return grant

    async def _learn(self, key: _Key, token: str) -> Grant:
        _, ended_too = key
        grant = await self._ask(token, ended_too=ended_too)
        seconds = self._remember if ended_too else min(self._remember, grant.ends - time.time())
        self._known[key] = (time.monotonic() + seconds, grant)
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return grant

    async def _ask(self, token: str, *, ended_too: bool) -> Grant:
        query = "?nocatalog" + ("&allow_expired=1" if ended_too else "")
        judged = {"X-Subject-Token": token}
        status, body = await self._asking.ask(f"/auth/tokens{query}", judged)
        try:
            if status == HTTPStatus.NOT_FOUND and body["error"]:
                raise self._refusal()
            if status == HTTPStatus.OK:
                return parse_grant(body)
        except (KeyError, TypeError, AttributeError, ValueError):
            pass
        raise IdentityError(f"Keystone answers {status} where it should judge a token")

    def _refusal(self) -> UnauthorizedError:
        return UnauthorizedError(
            "The request you have made requires authentication.", challenge=self._challenge
        )


def _as_service(grant: Grant) -> Mapping[str, Any]:
    return {
        "service_user": grant.user,
        "service_user_domain": grant.user_domain,
        "service_project": grant.project,
        "service_project_domain": grant.project_domain,
        "service_roles": grant.roles,
    }
