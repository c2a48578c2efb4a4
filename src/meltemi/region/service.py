"""What a running region consists of, and one request to it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from aiohttp import web

from meltemi.catalogue.base import Catalogue
from meltemi.catalogue.definitions_base import Definitions
from meltemi.catalogue.tasks_base import Tasks
from meltemi.errors import ForbiddenError, RefusedError, StaleRecordError, VanishedError
from meltemi.model.image import Image
from meltemi.model.record import Record
from meltemi.region.adoption.front import Front
from meltemi.region.api.schemas import Checker
from meltemi.region.background import Background
from meltemi.region.bindings import Bindings
from meltemi.region.borrowing.borrower import Borrower
from meltemi.region.context import Context
from meltemi.region.data.contents import Contents
from meltemi.region.data.hot import HotImages
from meltemi.region.data.janitor import Janitor
from meltemi.region.data.pieces import Pieces
from meltemi.region.identity.base import Identity
from meltemi.region.imports.elsewhere import Elsewhere
from meltemi.region.imports.web import Web
from meltemi.region.metering import Meter
from meltemi.region.notifying import Notifier
from meltemi.region.policy import Policy
from meltemi.region.protections import Protections
from meltemi.region.quotas import Quotas
from meltemi.region.readiness import Readiness
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
    pieces: Pieces
    bindings: Bindings
    hot: HotImages
    janitor: Janitor
    identity: Identity
    policy: Policy
    protections: Protections | None
    image_checker: Checker
    definitions: Definitions
    tasks: Tasks
    web: Web
    elsewhere: Elsewhere
    quotas: Quotas
    front: Front | None
    borrower: Borrower
    background: Background
    readiness: Readiness
    meter: Meter
    notifier: Notifier
    holder: str
    """The name under which this process is at work on images."""


class Call:
    """One request, by somebody who is known."""

    def __init__(
        self,
        service: Service,
        context: Context,
        request: web.Request,
        path: Mapping[str, str],
    ) -> None:
        self.service = service
        self.context = context
        self.request = request
        self.path = path
        self.settings = service.settings
        self.catalogue = service.catalogue

    @cached_property
    def image_id(self) -> str:
        """Give the id of the image that the path names."""
        return self.path["image_id"]

    async def image(self, rule: str = "get_image", *, missing: str = "") -> Record:
        """Give the image that the path names, if who asks may do with it what the rule says.

        An image that may not even be seen is said not to exist, in the words of `missing`.
        """
        record = await self.found(missing)
        self.demand(rule, record.image)
        return record

    async def found(self, missing: str = "") -> Record:
        """Give the image that the path names, if who asks may find it; no rule is asked yet."""
        try:
            return await self.catalogue.get(self.image_id, self.context.viewer)
        except VanishedError as error:
            raise VanishedError(missing or f"No image found with ID {self.image_id}") from error

    def location(self, image: Image) -> str:
        """Give the URL of an image."""
        return self.url(f"/v2/images/{image.id}")

    def url(self, path: str) -> str:
        """Give the URL of what is found at a path."""
        base = self.settings.public_endpoint or str(self.request.url.origin())
        return f"{base.rstrip('/')}{path}"

    async def change(self, edit: Callable[[Image], Image], *, missing: str = "") -> Record:
        """Change the image that the path names, anew where somebody else changed it meanwhile.

        `edit` refuses what may not be done to an image, or may not be done by who asks.
        """
        for left in reversed(range(_TRIES)):
            record = await self.found(missing)
            wanted = edit(record.image)
            if wanted == record.image:
                return record
            try:
                return await self.catalogue.change(replace(record, image=wanted))
            except StaleRecordError:
                if not left:
                    raise
        raise AssertionError

    def readable(self, properties: Mapping[str, str]) -> Mapping[str, str]:
        """Give those properties of an image that who asks may read."""
        protections = self.service.protections
        return protections.readable(self.context, properties) if protections else properties

    def must_be_allowed(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Raise ForbiddenError where an operator protects a property from such a change.

        What who asks may not read is not theirs to change: `after` is to have what they see, and
        what they name.
        """
        if (protections := self.service.protections) is None:
            return
        seen = protections.readable(self.context, before)
        hidden = sorted(after.keys() & (before.keys() - seen.keys()))
        if name := hidden[0] if hidden else protections.refused(self.context, seen, after):
            raise ForbiddenError(f"Attribute '{name}' is reserved.")

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
            read = json.loads(body.decode())
        except (ValueError, RecursionError):
            raise RefusedError("Malformed JSON in request body.") from None
        if not isinstance(read, dict | list):
            raise RefusedError("Unexpected body type. Expected list/dict.")
        return read
