"""No authentication: whoever reaches the service may do everything."""

from collections.abc import Mapping
from typing import Final

from meltemi.region.context import Context, request_id

RULES: Final[Mapping[str, str]] = {"context_is_admin": "@"}
"""What policies start from here: as in a Glance that runs without Keystone."""


class Nobody:
    """Takes every request for an administrator's, of no user and no project."""

    async def authenticate(self, headers: Mapping[str, str]) -> Context:
        """Give an administrator, whatever the headers say."""
        return Context(is_admin=True, request_id=request_id(headers))

    async def endpoint(
        self, context: Context, service: str, region: str, interface: str
    ) -> str | None:
        """Offer nothing: without Keystone there is no catalogue."""

    async def check(self) -> None:
        """Do nothing: nothing is asked."""

    async def close(self) -> None:
        """Do nothing: nothing is held."""
