"""What a target's listing has told that may matter for other images than the listed one."""

from meltemi.libraries.base import Library
from meltemi.model.image import Image
from meltemi.model.provenance import Provenance, read_provenance
from meltemi.model.route import OnSourceDeletion
from meltemi.replication.claim import unfinished
from meltemi.replication.context import Context, replica_of, trusted_origin
from meltemi.replication.mapping import map_project


class Learnt:
    """What has been learnt of one target so far."""

    def __init__(self, library: Library, context: Context) -> None:
        self.library = library
        self.context = context
        self.mapped: dict[tuple[str, str | None], list[Image]] = {}
        self.names: dict[tuple[str, str | None], str] = {}
        self.orphans: list[tuple[Image, Provenance]] = []
        self.boot_ids: dict[str, str] = {}
        self.elsewhere: set[str] = set()
        self.unavailable: dict[str, str] = {}
        self.in_sync = 0

    def learn(self, image: Image, *, has_source: bool) -> None:
        """Remember an image where it can matter for another id than its own."""
        origin = replica_of(image, self.context)
        known = trusted_origin(image, self.context)
        if known is not None and known.source_id != image.id:
            # Whatever address it was copied from: one image has one replica in a project.
            self.mapped.setdefault((known.source_id, image.owner), []).append(image)
        if origin is None:
            if image.name and not image.os_hidden and not has_source:
                self.names[image.name, image.owner] = image.id
        elif (
            origin.source_id == image.id
            and not has_source
            and self.context.policy.on_source_deletion is not OnSourceDeletion.KEEP
        ):
            self.orphans.append((image, origin))

    def owner_of(self, source: Image) -> str | None:
        """Give the project that a source's replica belongs to; no other may speak for it."""
        return map_project(source.owner, self.context.policy, self.context.target_project)

    def mapped_to(self, source: Image) -> Image | None:
        """Give the source's replica under another id, where there is one."""
        replicas = self.mapped.get((source.id, self.owner_of(source)))
        return min(replicas, key=soundness) if replicas else None

    def surplus(self) -> dict[tuple[str, str | None], list[str]]:
        """Give the replicas in sight where a source may have several, by its id and their owner."""
        found = {}
        for (source_id, owner), images in self.mapped.items():
            ids = [image.id for image in images if not image.os_hidden]
            if source_id not in self.elsewhere:
                ids.append(source_id)
            if len(ids) > 1:
                found[source_id, owner] = sorted(ids)
        return found

    def knows_as_replica(self, source: Image | None, image: Image | None) -> bool:
        """Say whether an image with a source's id is its replica by its own word.

        A source that is gone (None) says no longer which project its replica belongs to.
        """
        if image is None or (source is not None and image.owner != self.owner_of(source)):
            return False
        return replica_of(image, self.context) is not None


def soundness(image: Image) -> tuple[bool, bool, bool]:
    """Order replicas of one source: a broken storage or a killed target may leave several."""
    origin = read_provenance(image)
    unverified = origin is None or unfinished(image, origin)
    return not image.has_data, unverified, image.os_hidden
