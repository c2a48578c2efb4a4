"""Questions to Keystone, in the region's own name."""

from collections.abc import Mapping
from http import HTTPStatus
from ssl import SSLContext
from types import MappingProxyType
from typing import Any, Final

import aiohttp

from meltemi.errors import IdentityError
from meltemi.region.identity.account import Account

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Asking:
    """Asks Keystone.

    `session` is keystoneauth's, with the region's own account. `tls` is how Keystone's certificate
    is judged; False lets any pass. `patience` is how many seconds Keystone may take to answer.
    """

    def __init__(
        self, session: Any, *, tls: SSLContext | bool = True, patience: float = 10.0
    ) -> None:
        self.account = Account(session)
        self.patience = patience
        self._tls = tls
        self._http: aiohttp.ClientSession | None = None

    async def ask(self, path: str, headers: Mapping[str, str] = _NOTHING) -> tuple[int, Any]:
        """Give the status and the JSON, None where it is none, that the region is answered.

        Its token is renewed where Keystone refuses it. Raise IdentityError where there is no
        answer.
        """
        access = await self.account.access()
        answer = await self.get(f"{access.url}{path}", {**headers, "X-Auth-Token": access.token})
        if answer[0] == HTTPStatus.UNAUTHORIZED:
            access = await self.account.access(refused=access.token)
            answer = await self.get(
                f"{access.url}{path}", {**headers, "X-Auth-Token": access.token}
            )
        return answer

    async def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Give the status and the JSON of an answer; IdentityError where there is none."""
        if self._http is None:
            self._http = aiohttp.ClientSession()
        try:
            async with self._http.get(
                url,
                headers=headers,
                ssl=self._tls,
                timeout=aiohttp.ClientTimeout(total=self.patience),
                allow_redirects=False,
            ) as answer:
                is_json = answer.content_type == "application/json"
                return answer.status, await answer.json() if is_json else None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            what = str(error) or "no answer in time"
            raise IdentityError(f"cannot ask {url}: {what}") from error

    async def close(self) -> None:
        """End the connections to Keystone."""
        await self.account.close()
        if self._http:
            await self._http.close()
