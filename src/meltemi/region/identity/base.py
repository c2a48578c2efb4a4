"""The contract of everything that tells a region who asks."""

from collections.abc import Mapping
from typing import Protocol

from meltemi.region.context import Context


class Identity(Protocol):
    """Tells who sends a request."""

    async def authenticate(self, headers: Mapping[str, str]) -> Context:
        """Give the sender of a request, by its headers, which are looked up in any case of letters.

        Raise UnauthorizedError for a request that does not say it, or says it wrongly, and
        IdentityError where that cannot be found out at the moment.
        """

    async def endpoint(
        self, context: Context, service: str, region: str, interface: str
    ) -> str | None:
        """Give the URL of a service of a type that the sender is offered, None where there is none.

        Raise IdentityError where that cannot be found out at the moment.
        """

    async def check(self) -> None:
        """Raise IdentityError where nobody who is unknown could be authenticated now."""

    async def close(self) -> None:
        """Let go of connections; nothing is asked afterwards."""
