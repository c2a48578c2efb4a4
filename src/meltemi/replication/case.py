"""One source image at one target: what is known, and what of it may be written."""

from dataclasses import dataclass, replace

from meltemi.model.image import BASE_ATTRIBUTES, Image, Member, Value, state_digest
from meltemi.model.plan import Action, Note, Standing, Subject
from meltemi.model.provenance import (
    COMPUTED,
    PENDING,
    Provenance,
    Written,
    describe_hash,
    read_provenance,
)
from meltemi.replication.context import Context
from meltemi.replication.ownership import own_mark

Settled = tuple[Action | Note, ...]
"""What an image needs; empty where the target is as it should be."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a target has that concerns one source image.

    `same_id` carries the source's id; `mapped` says of itself that it is the source's replica
    under another id; `same_name` is an image of another origin in the same project. Members are
    those of the replica, None where they are not asked for.
    """

    same_id: Image | None = None
    mapped: Image | None = None
    same_name: Image | None = None
    members: tuple[Member, ...] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One source image at one target, mapped for it (`wanted`).

    `members` are those that the target should list, `source_members` the source's own, both None
    where they are not carried.
    """

    source: Image
    wanted: Image
    members: tuple[Member, ...] | None
    source_members: tuple[Member, ...] | None
    found: Found
    context: Context

    def origin_of(self, image: Image) -> Provenance | None:
        """Take an image for the source's replica: by its provenance, or by id and equal data."""
        expected = Provenance(
            self.context.source_identity, self.source.id, describe_hash(self.source.hashes)
        )
        if self.context.target_keeps_owners:
            return replace(expected, written=Written.of(image.attributes()))
        mark = own_mark(image, owner=self.wanted.owner, source_id=self.source.id)
        if mark is not None:
            return mark
        if image.owner != self.wanted.owner or image.id != self.source.id:
            return None
        same_data = image.has_data and self.source.hashes.agree(image.hashes)
        return expected if same_data else None

    def may_be_original(self, image: Image) -> bool:
        """Say whether the source itself may be a replica of this image, directly or not."""
        if self.context.target_keeps_owners or read_provenance(self.source) is None:
            return False
        return read_provenance(image) is None

    def same_data(self, replica: Image, origin: Provenance) -> bool | None:
        """Say whether a replica has the source's data; None where no hash tells.

        Where the source recorded none, the one that was computed of its data stands in.
        """
        agreed = self.source.hashes.agree(replica.hashes)
        if agreed is not None:
            return agreed
        known = origin.source_hash.startswith(COMPUTED) and origin.source_hash != PENDING
        if known and replica.hashes.algorithm == "sha512":
            return origin.source_hash == f"{COMPUTED}{describe_hash(replica.hashes)}"
        return None if self.source.size == replica.size else False

    def attributes(self) -> dict[str, Value]:
        """Give what the source says of the target's image, without what is left behind."""
        drop = self.context.policy.drop
        return {name: v for name, v in self.wanted.attributes().items() if name not in drop}

    def mark(self, source_hash: str, before: Written, members: frozenset[str]) -> Provenance | None:
        """Give the mark of origin to leave behind, None where the target bears none.

        What the route leaves to the target was last written when it was: `before` goes on.
        """
        if self.context.target_keeps_owners:
            return None
        left = self.context.policy.drop & BASE_ATTRIBUTES
        old = {name: last for name, last in before.attributes.items() if name in left}
        new = Written.of(self.attributes())
        tags = before.tags if "tags" in left else new.tags
        return Provenance(
            self.context.source_identity,
            self.source.id,
            source_hash,
            Written({**old, **new.attributes}, tags, members),
            route=self.context.route,
        )

    def conflict(self, reason: str) -> Note:
        """Note that the image is left as it is, though it does not match."""
        return self.note(Standing.CONFLICT, reason)

    def note(self, standing: Standing, reason: str) -> Note:
        """Note why the image is left as it is."""
        return Note(self.subject, standing, reason)

    @property
    def source_state(self) -> str:
        """Give the digest of what a plan relies on; most images need no action, and none of it."""
        return state_digest(self.source, self.source_members)

    @property
    def subject(self) -> Subject:
        """Say of which image an action or a note speaks."""
        return self.context.subject(self.source.id, self.source.name)
