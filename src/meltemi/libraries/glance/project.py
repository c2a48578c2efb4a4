"""Which project a token is for where its credentials do not tell.

Glance does not say it, but names the Keystone that knows.
"""

import re
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from meltemi.errors import AuthenticationError
from meltemi.libraries.glance.answers import read_json
from meltemi.libraries.glance.auth import Endpoint, without_version

_IDENTITY: Final = re.compile(r"uri=['\"]?(https?://[^'\"\s,]+)", re.IGNORECASE)
_NOT_VALID: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND)


async def project_of(endpoint: Endpoint, name: str, silence: float) -> str | None:
    """Ask the identity service; None for a token of no project, or where none is wanted.

    Its address stands in Glance's refusal of a request without a token. Raise AuthenticationError
    where a token is wanted but its project stays unknown: the owners of images would be wrong.
    """
    timeout = aiohttp.ClientTimeout(total=silence)
    connector = aiohttp.TCPConnector(ssl=endpoint.tls)
    try:
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, trust_env=True
        ) as session:
            images = f"{endpoint.url}/v2/images?limit=1"
            async with session.get(images, allow_redirects=False) as refusal:
                if refusal.status < HTTPStatus.BAD_REQUEST:
                    return None
                found = _IDENTITY.search(refusal.headers.get("WWW-Authenticate", ""))
            if found is None:
                raise _unknown(name, "the service does not name its identity service")
            return await _ask(session, without_version(found[1]), endpoint, name)
    except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
        reason = str(error) or f"no answer for {silence:g} seconds"
        raise _unknown(name, reason) from error


async def _ask(
    session: aiohttp.ClientSession, identity: str, endpoint: Endpoint, name: str
) -> str | None:
    if endpoint.url.startswith("https:") and not identity.lower().startswith("https:"):
        raise _unknown(name, f"it is not sent to {identity}, which is not encrypted")
    url = f"{identity}/v3/auth/tokens"
    token = await endpoint.auth.token() or ""
    tokens = {"X-Auth-Token": token, "X-Subject-Token": token}
    # A redirection would take the token along to wherever it leads.
    async with session.get(url, headers=tokens, allow_redirects=False) as answer:
        if answer.status in _NOT_VALID:
            await endpoint.auth.token(renew=True)
        if answer.status != HTTPStatus.OK:
            raise _unknown(name, f"{identity} answers {answer.status}")
        try:
            body: Any = await read_json(answer)
            project = body["token"].get("project")
            return None if project is None else str(project["id"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _unknown(name, f"{identity} does not answer as Keystone does") from error


def _unknown(name: str, reason: str) -> AuthenticationError:
    return AuthenticationError(
        f"{name}: cannot learn which project the token is for: {reason}; "
        "name an entry of clouds.yaml instead",
        library=name,
    )
