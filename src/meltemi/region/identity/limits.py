"""Unified limits: what Keystone says that projects may have."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from meltemi.errors import IdentityError
from meltemi.region.identity.asking import Asking
from meltemi.region.identity.remembering import Remembering

REMEMBERED: Final = 10.0
"""Seconds for which a limit is remembered; one that is changed goes on for as long."""

_MOST: Final = 10_000
"""Projects whose limits are remembered."""

_MODEL: Final = "flat"


class UnifiedLimits:
    """The limits that Keystone has of an Image service in one region, by the region's name there.

    A project that has no limit of its own for a resource has the registered one, and 0 where there
    is none either. Negative numbers are no limits.

    Keystone tells the limits of all projects to accounts of the system alone; to others it would
    say that a project has none of its own. Where the account is none, or limits are of another
    model than `flat`, nothing can be said, which is an IdentityError.
    """

    def __init__(self, asking: Asking, region: str, *, remember: float = REMEMBERED) -> None:
        self._asking = asking
        self._registered = Remembering(self._ask_registered, seconds=remember, most=1)
        self._limits = Remembering(self._ask_limits, seconds=remember, most=_MOST)
        self._region = region

    async def of(self, project: str | None) -> Mapping[str, int]:
        """Give the limits of a project, by resources; of nobody's, those that are registered.

        Raise IdentityError where they cannot be known at the moment.
        """
        return await self._limits.get(project)

    async def check(self) -> None:
        """Raise IdentityError where nobody's limits can be known now."""
        await self.of(None)

    async def close(self) -> None:
        """Ask nothing any more."""
        await self._limits.close()
        await self._registered.close()
        await self._asking.close()

    async def _ask_limits(self, project: str | None) -> Mapping[str, int]:
        service, registered = await self._registered.get(self._region)
        if project is None:
            return registered
        told = await self._list(
            "limits", service_id=service, region_id=self._region, project_id=project
        )
        try:
            own = {
                str(one["resource_name"]): int(one["resource_limit"])
                for one in told
                if one["project_id"] == project
            }
        except (KeyError, TypeError, ValueError) as error:
            raise IdentityError("what Keystone answers is no list of limits") from error
        return {**registered, **own}

    async def _ask_registered(self, region: str) -> tuple[str, Mapping[str, int]]:
        """Give the service's id, and the limits that hold for everybody."""
        if not (await self._asking.account.access()).is_of_system:
            raise IdentityError(
                "Keystone tells limits to accounts of the system alone: keystone.auth needs "
                "system_scope: all, and the account the role reader there"
            )
        await self._must_be_flat()
        services = await self._list("services", type="image")
        if len(services) != 1:
            raise IdentityError(
                f"limits are of one service: Keystone has {len(services)} of type image"
            )
        try:
            service = str(services[0]["id"])
            told = await self._list("registered_limits", service_id=service, region_id=region)
            return service, {str(one["resource_name"]): int(one["default_limit"]) for one in told}
        except (KeyError, TypeError, ValueError) as error:
            raise IdentityError("what Keystone answers is no list of registered limits") from error

    async def _must_be_flat(self) -> None:
        status, body = await self._asking.ask("/limits/model")
        try:
            model = body["model"]["name"]
        except (KeyError, TypeError):
            raise IdentityError(
                f"Keystone answers {status} where it should name its model of limits"
            ) from None
        if model != _MODEL:
            raise IdentityError(
                f"Keystone's limits are of the model {model}; a region can hold to {_MODEL} alone"
            )

    async def _list(self, kind: str, **conditions: str) -> list[Any]:
        status, body = await self._asking.ask(f"/{kind}?{urlencode(conditions)}")
        found = body.get(kind) if isinstance(body, dict) else None
        if status != HTTPStatus.OK or not isinstance(found, list):
            raise IdentityError(f"Keystone answers {status} where it should list its {kind}")
        return found
