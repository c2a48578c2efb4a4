"""What projects may have in a region, and what they have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from meltemi.catalogue.base import Catalogue
from meltemi.errors import QuotaError
from meltemi.region.identity.limits import UnifiedLimits

SIZE: Final = "image_size_total"
STAGED: Final = "image_stage_total"
COUNT: Final = "image_count_total"
UPLOADING: Final = "image_count_uploading"

_USED: Final[Mapping[str, Callable[[Mapping[str, int]], int]]] = {
    SIZE: lambda usage: mebibytes(usage["bytes"]),
    STAGED: lambda usage: mebibytes(usage["staged_bytes"]),
    COUNT: lambda usage: usage["images"],
    UPLOADING: lambda usage: usage["uploading"],
}
"""How much of each resource it is that a catalogue tells; sizes count in whole MiB."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of a resource a project may have and has; a negative limit is none."""

    limit: int
    usage: int


class Quotas(Protocol):
    """Holds what projects ask for against what they may have.

    That is whoever sends a request, whomever an image belongs to. `None` is nobody's project.
    """

    async def demand(self, project: str | None, resource: str, more: int = 0) -> None:
        """Raise QuotaError where a project would have more of a resource than it may.

        Nothing is set aside: of several that ask at once, each may be let in. Raise IdentityError
        where the limit cannot be known at the moment.
        """

    async def all(self, project: str | None) -> Mapping[str, Quota]:
        """Give each resource's quota; nothing where there are none."""

    async def close(self) -> None:
        """Let go of connections."""


class NoQuotas:
    """Lets everybody have everything."""

    async def demand(self, project: str | None, resource: str, more: int = 0) -> None:
        """Do nothing."""

    async def all(self, project: str | None) -> Mapping[str, Quota]:  # noqa: ARG002 - of the protocol
        """Give nothing: there are none."""
        return {}

    async def close(self) -> None:
        """Do nothing: nothing is held."""


class KeystoneQuotas:
    """Quotas by Keystone's unified limits, as in a Glance that has `use_keystone_limits`."""

    def __init__(self, limits: UnifiedLimits, catalogue: Catalogue) -> None:
        self._limits = limits
        self._catalogue = catalogue

    async def demand(self, project: str | None, resource: str, more: int = 0) -> None:
        """Ask Keystone and the catalogue, the latter only where there is a limit."""
        limit = (await self._limits.of(project)).get(resource, 0)
        if limit < 0:
            return
        usage = _USED[resource](await self._catalogue.usage(project))
        if usage + more > limit:
            raise QuotaError(
                "The request returned a 413 Request Entity Too Large. This generally means that "
                "rate limiting or a quota threshold was breached.\n\nThe response body:\n"
                f"Project {project} is over a limit for [Resource {resource} is over limit of "
                f"{limit} due to current usage {usage} and delta {more}]"
            )

    async def all(self, project: str | None) -> Mapping[str, Quota]:
        """Give what Keystone and the catalogue say."""
        limits = await self._limits.of(project)
        usage = await self._catalogue.usage(project)
        return {name: Quota(limits.get(name, 0), used(usage)) for name, used in _USED.items()}

    async def close(self) -> None:
        """End the connections to Keystone."""
        await self._limits.close()


def mebibytes(size: int) -> int:
    """Give how many whole MiB some bytes are: smaller things are nothing to a quota."""
    return size // 2**20
