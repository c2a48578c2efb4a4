"""What a running region consists of, and one request to it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from aiohttp import web

from meltemi.catalogue.base import Catalogue
from meltemi.catalogue.definitions_base import Definitions
from meltemi.errors import RefusedError, StaleRecordError
from meltemi.model.image import Image
from meltemi.model.record import Record
from meltemi.region.api.schemas import Checker
from meltemi.region.context import Context
from meltemi.region.data.contents import Contents
from meltemi.region.identity.base import Identity
from meltemi.region.policy import Policy
from meltemi.region.settings import Settings
from meltemi.region.targets import of_image

_TRIES: Final = 10
"""How often a change is made anew when another got in between."""


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that answering takes; made once in each worker."""

    settings: Settings
    catalogue: Catalogue
    contents: Contents
    identity: Identity
    policy: Policy
    image_checker: Checker
    definitions: Definitions


class Call:
    """One request, by somebody who is known."""

    def __init__(self, service: Service, context: Context, request: web.Request) -> None:
        self.service = service
        self.context = context
        self.request = request
        self.settings = service.settings
        self.catalogue = service.catalogue

    @cached_property
    def image_id(self) -> str:
        """Give the id of the image that the path names."""
        return self.request.match_info["image_id"]

    async def image(self, rule: str = "get_image") -> Record:
        """Give the image that the path names, if who asks may do with it what the rule says.

        An image that may not even be seen is said not to exist.
        """
        record = await self.catalogue.get(self.image_id, self.context.viewer)
        self.demand(rule, record.image)
        return record

    async def change(self, edit: Callable[[Image], Image]) -> Record:
        """Change the image that the path names, anew where somebody else changed it meanwhile.

        `edit` refuses what may not be done to an image.
        """
        for left in reversed(range(_TRIES)):
            record = await self.image()
            wanted = edit(record.image)
            if wanted == record.image:
                return record
            try:
                return await self.catalogue.change(replace(record, image=wanted))
            except StaleRecordError:
                if not left:
                    raise
        raise AssertionError

    def may(self, rule: str, image: Image) -> bool:
        """Say whether a rule allows something about an image."""
        return self.service.policy.allows(self.context, rule, of_image(self.context, image))

    def demand(self, rule: str, image: Image) -> None:
        """Raise ForbiddenError where a rule does not allow something about an image."""
        self.service.policy.demand_of_image(self.context, rule, of_image(self.context, image))

    async def json(self) -> Any:
        """Read the body as JSON."""
        body = await self.request.read()
        if not body:
            raise RefusedError("Body expected in request.")
        try:
            return json.loads(body)
        except ValueError:
            raise RefusedError("Malformed JSON in request body.") from None
