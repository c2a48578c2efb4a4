"""What one image needs at one target: pure decisions, each in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from meltemi.libraries.base import Changes
from meltemi.model.image import PUBLISHED_LAST, Image, Member, Value, state_digest
from meltemi.model.plan import Action, Kind, Note, Standing, Subject
from meltemi.model.provenance import (
    COMPUTED,
    PENDING,
    Provenance,
    Written,
    describe_hash,
    read_provenance,
)
from meltemi.model.route import OnConflict, Policy
from meltemi.replication.claim import Claim, unfinished
from meltemi.replication.context import Context
from meltemi.replication.mapping import boot_files, map_image, map_members, with_boot_files
from meltemi.replication.merge import merge, merge_members
from meltemi.replication.ownership import own_mark

VOLUME_MAP: Final = "block_device_mapping"
_SAFETY: Final = frozenset({"status", "os_hidden", "protected"})
LONGEST_NAME: Final = 255
"""Characters that Glance takes in an image's name."""

_LONGEST_SOURCE: Final = LONGEST_NAME // 2
"""Characters of them that the name of a source gets, which may be a path of any length."""

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


def unfit(image: Image, policy: Policy) -> str | None:
    """Say why an image cannot be a source at all; None where it can."""
    if image.status == "queued":
        return "it has no data yet"
    if not image.has_data:
        return f"it is {image.status}"
    if not image.size and VOLUME_MAP in image.properties:
        return "its data is a volume snapshot, which the Image service does not hold"
    if image.size is None:
        return "its library does not say how large its data is"
    if not policy.replicas and (origin := read_provenance(image)):
        return f"it is a replica of {origin.library}/{origin.source_id}"
    return None


def settle(
    source: Image,
    members: tuple[Member, ...] | None,
    found: Found,
    context: Context,
    boot_ids: Mapping[str, str],
) -> Settled:
    """Decide what one source image needs at the target.

    `members` are the source's, None where they are not carried. `boot_ids` gives the target's
    ids of kernels and ramdisks where they differ from the source's.
    """
    wanted = map_image(
        source, context.policy, context.target_project, keep_owner=context.target_keeps_owners
    )
    wanted = with_boot_files(wanted, boot_ids)
    case = _Case(
        source,
        wanted,
        None
        if members is None or wanted.visibility != "shared"
        else map_members(members, context.policy),
        state_digest(source, members),
        found,
        context,
    )
    for replica in (found.mapped, found.same_id):
        if replica is not None and (origin := case.origin_of(replica)) is not None:
            if case.may_be_original(replica):
                return ()
            return case.bring_up_to_date(replica, origin)
    if found.same_id is not None:
        return case.id_taken(found.same_id)
    if found.same_name is not None:
        return case.name_taken(found.same_name)
    return case.copy(wanted, "it is missing")


@dataclass(frozen=True, slots=True)
class _Case:
    """One source image at one target, mapped for it (`wanted`)."""

    source: Image
    wanted: Image
    members: tuple[Member, ...] | None
    source_state: str
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

    def bring_up_to_date(self, replica: Image, origin: Provenance) -> Settled:
        if self.context.policy.metadata_only and self.context.target_keeps_owners:
            return self._change(replica, origin)
        claim = Claim.parse(origin.at)
        # A killed sender's connection may still look open to the target for a moment.
        given_up = claim is not None and claim.is_given_up(replica, self.context.now)
        cut_off = replica.status == "saving" and given_up
        if replica.status == "queued" or cut_off:
            if claim and claim.holds_against(self.context.now):
                return (self._note(Standing.BUSY, f"another replicator: {claim}"),)
            return self.copy(self.wanted, "its data has not arrived", filling=replica)
        if not replica.has_data:
            busy = replica.status in ("saving", "uploading", "importing")
            standing = Standing.BUSY if busy else Standing.CONFLICT
            return (self._note(standing, f"it is {replica.status} at the target"),)
        if not self._same_data(replica, origin):
            return self.id_taken(replica)
        return self._change(replica, origin)

    def id_taken(self, other: Image) -> Settled:
        whose = "other data" if other.owner == self.wanted.owner else f"owner {other.owner}"
        reason = f"image {other.id} is there with {whose}"
        match self.context.policy.on_conflict:
            case OnConflict.SKIP:
                return (self._conflict(reason),)
            case OnConflict.REPLACE:
                fresh = self.copy(self.wanted, f"{reason}: under a new id", target_id="")
                return (*fresh, *self._hide(other))
            case OnConflict.RENAME:
                return self.copy(self._renamed(), f"{reason}: under a new id", target_id="")

    def name_taken(self, other: Image) -> Settled:
        reason = f"the name is taken by image {other.id}, which is no replica of it"
        match self.context.policy.on_conflict:
            case OnConflict.SKIP:
                return (self._conflict(reason),)
            case OnConflict.REPLACE:
                return (*self.copy(self.wanted, reason), *self._hide(other))
            case OnConflict.RENAME:
                return self.copy(self._renamed(), f"{reason}: under a new name")

    def copy(
        self,
        image: Image,
        reason: str,
        *,
        target_id: str | None = None,
        filling: Image | None = None,
    ) -> Settled:
        """Plan to send the data; what is recorded as written is what the source says."""
        only_metadata = self.context.policy.metadata_only
        if only_metadata and not self.context.target_keeps_owners:
            return (self._note(Standing.LEFT_OUT, f"{reason}, and only metadata is wanted"),)
        if filling is not None:
            target_id = filling.id
        return (
            Action(
                kind=Kind.COPY,
                subject=self._subject,
                target_id=self.source.id if target_id is None else target_id,
                reason=reason,
                source_state=self.source_state,
                target_state=state_digest(filling),
                origin=self._mark(describe_hash(self.source.hashes), Written(), self.members),
                image=image,
                bytes=0 if only_metadata else self.source.size or 0,
                without_data=only_metadata,
                filling=filling is not None,
                add=self.members or (),
                needs=boot_files(self.source),
            ),
        )

    def _change(self, replica: Image, origin: Provenance) -> Settled:
        wanted, present = self._attributes(), replica.attributes()
        if self.context.policy.metadata_only:
            wanted["status"] = present["status"]
        claimed = unfinished(replica, origin)
        written = _unpublished(origin.written) if claimed else origin.written
        changes = merge(wanted, written, present)
        if read_provenance(replica) is None:
            # What the target's operator closed before it became a replica stays closed.
            kept = {name: value for name, value in changes.set.items() if name not in _SAFETY}
            changes = replace(changes, set=kept)
        add: tuple[Member, ...] = ()
        withdraw: tuple[str, ...] = ()
        members = self.members
        if changes.set.get("visibility", replica.visibility) != "shared":
            members = None  # the target's operator took the image back
        if members is not None and self.found.members is not None:
            add, withdraw = merge_members(members, written, self.found.members)
        known = read_provenance(replica) is not None
        elsewhere = not known or origin.library != self.context.source_identity
        # What was there before its archive was loaded stays an original, or another's replica.
        unmarked = self.context.target_keeps_owners or (
            self.context.source_keeps_owners and elsewhere
        )
        marked = unmarked or (not elsewhere and origin.gone_since is None and not claimed)
        if marked and not (changes or add or withdraw):
            return ()
        kind, reason = _kind_and_reason(changes, members_differ=bool(add or withdraw))
        source_hash = origin.source_hash
        if not source_hash.startswith(COMPUTED):
            source_hash = describe_hash(self.source.hashes)
        elif source_hash == PENDING and replica.hashes.value:
            source_hash = f"{COMPUTED}{describe_hash(replica.hashes)}"
        return (
            Action(
                kind=kind,
                subject=self._subject,
                target_id=replica.id,
                reason=reason,
                source_state=self.source_state,
                target_state=state_digest(replica, self.found.members),
                origin=None if unmarked else self._mark(source_hash, written, members),
                set=changes.set,
                remove=changes.remove,
                add=add,
                withdraw=withdraw,
            ),
        )

    def _mark(
        self, source_hash: str, before: Written, members: tuple[Member, ...] | None
    ) -> Provenance | None:
        if self.context.target_keeps_owners:
            return None
        written = Written.of(self._attributes(), members or ())
        if members is None:
            written = replace(written, members=before.members)
        return Provenance(
            self.context.source_identity,
            self.source.id,
            source_hash,
            written,
            route=self.context.route,
        )

    def _attributes(self) -> dict[str, Value]:
        drop = self.context.policy.drop
        return {name: v for name, v in self.wanted.attributes().items() if name not in drop}

    def _same_data(self, replica: Image, origin: Provenance) -> bool:
        agreed = self.source.hashes.agree(replica.hashes)
        if agreed is not None:
            return agreed
        computed = f"{COMPUTED}{describe_hash(replica.hashes)}"
        known = origin.source_hash.startswith(COMPUTED) and origin.source_hash != PENDING
        if known and replica.hashes.algorithm == "sha512":
            return origin.source_hash == computed
        return self.source.size == replica.size

    def _hide(self, other: Image) -> Settled:
        if other.owner != self.wanted.owner or other.os_hidden:
            return ()
        return (
            Action(
                kind=Kind.HIDE,
                subject=replace(self._subject, name=other.name),
                target_id=other.id,
                reason=f"image {self.source.id} of {self.context.source} takes its place",
                source_state=self.source_state,
                target_state=state_digest(other),
                set={"os_hidden": True},
            ),
        )

    def _renamed(self) -> Image:
        suffix = f" ({self.context.source[-_LONGEST_SOURCE:]})"
        name = (self.wanted.name or self.source.id)[: LONGEST_NAME - len(suffix)]
        return replace(self.wanted, name=name + suffix)

    def _conflict(self, reason: str) -> Note:
        return self._note(Standing.CONFLICT, f"{reason}; see --on-conflict")

    def _note(self, standing: Standing, reason: str) -> Note:
        return Note(self._subject, standing, reason)

    @property
    def _subject(self) -> Subject:
        return self.context.subject(self.source.id, self.source.name)


def _unpublished(written: Written) -> Written:
    """Take out what a delivery that broke off had announced but not written yet."""
    later = {*PUBLISHED_LAST, "status"}
    attributes = {key: value for key, value in written.attributes.items() if key not in later}
    return Written(attributes, written.tags)


def _kind_and_reason(changes: Changes, *, members_differ: bool) -> tuple[Kind, str]:
    names = sorted({*changes.set, *changes.remove}) + ["members"] * members_differ
    if not names:
        return Kind.UPDATE, "its mark of origin is missing or incomplete"
    reason = f"{', '.join(names)} changed"
    if names == ["name"]:
        return Kind.RENAME, reason
    return (Kind.SHARE if names == ["members"] else Kind.UPDATE), reason
