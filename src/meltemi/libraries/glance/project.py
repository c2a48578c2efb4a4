"""Which project a bare token is for: Glance does not say, but names the Keystone that knows."""

import re
from typing import Any, Final

import aiohttp

from meltemi.libraries.glance.auth import Endpoint, without_version

_IDENTITY: Final = re.compile(r"uri=['\"]?(https?://[^'\"\s,]+)", re.IGNORECASE)
_SECONDS: Final = 30.0


async def project_of(token: str, endpoint: Endpoint) -> str | None:
    """Ask the identity service; None where there is none, or it does not tell.

    Its address stands in Glance's refusal of a request without a token.
    """
    try:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=endpoint.tls),
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
            trust_env=True,
        ) as session:
            async with session.get(f"{endpoint.url}/v2/images?limit=1") as refusal:
                found = _IDENTITY.search(refusal.headers.get("WWW-Authenticate", ""))
            if found is None:
                return None
            url = f"{without_version(found[1])}/v3/auth/tokens"
            tokens = {"X-Auth-Token": token, "X-Subject-Token": token}
            async with session.get(url, headers=tokens) as answer:
                body: Any = await answer.json()
                project: str = body["token"]["project"]["id"]
                return project
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
        return None
