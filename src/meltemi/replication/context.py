"""What holds for every image of one route at one target, and whose word counts there."""

from dataclasses import dataclass
from datetime import datetime

from meltemi.model.image import Image
from meltemi.model.plan import Subject
from meltemi.model.provenance import Provenance, read_provenance
from meltemi.model.route import Policy


@dataclass(frozen=True, slots=True)
class Context:
    """What holds for every image of one route at one target."""

    route: str
    source: str
    source_identity: str
    target: str
    target_project: str | None
    target_keeps_owners: bool
    policy: Policy
    now: datetime
    source_keeps_owners: bool = False

    def subject(self, source_id: str, name: str | None) -> Subject:
        """Say of which image an action or a note speaks."""
        return Subject(self.route, self.source, self.target, source_id, name)


def replica_of(image: Image, context: Context) -> Provenance | None:
    """Read an image's provenance where it counts: of this source, in a project of the route."""
    origin = trusted_origin(image, context)
    return origin if origin is not None and origin.library == context.source_identity else None


def trusted_origin(image: Image, context: Context) -> Provenance | None:
    """Read an image's provenance where it is in a project of the route, whatever its library."""
    projects = {context.target_project, *context.policy.owners.values()}
    return read_provenance(image) if image.owner in projects or "*" in projects else None
