"""What one image needs at one target: pure decisions, each in one place."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from meltemi.model.image import Image, Member, state_digest
from meltemi.model.plan import Action, Kind, Standing
from meltemi.model.provenance import (
    Provenance,
    Written,
    describe_hash,
    member_digests,
    read_provenance,
)
from meltemi.model.route import OnConflict, Policy
from meltemi.replication.case import Case, Found, Settled
from meltemi.replication.claim import Claim, unfinished
from meltemi.replication.context import Context
from meltemi.replication.mapping import boot_files, map_image, map_members, with_boot_files
from meltemi.replication.sharing import arrived
from meltemi.replication.update import update

VOLUME_MAP: Final = "block_device_mapping"
LONGEST_NAME: Final = 255
"""Characters that Glance takes in an image's name."""

_LONGEST_SOURCE: Final = LONGEST_NAME // 2
"""Characters of them that the name of a source gets, which may be a path of any length."""


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
    case = Case(
        source,
        wanted,
        _wanted_members(source, wanted, members, context.policy),
        state_digest(source, members),
        found,
        context,
    )
    for replica in (found.mapped, found.same_id):
        if replica is not None and (origin := case.origin_of(replica)) is not None:
            if case.may_be_original(replica):
                return ()
            return _bring_up_to_date(case, replica, origin)
    if found.same_id is not None:
        return _id_taken(case, found.same_id)
    if found.same_name is not None:
        return _name_taken(case, found.same_name)
    return _copy(case, wanted, "it is missing")


def _wanted_members(
    source: Image, wanted: Image, members: tuple[Member, ...] | None, policy: Policy
) -> tuple[Member, ...] | None:
    """Map the members to offer the image to: none unless it is shared at both ends."""
    shared = wanted.visibility == "shared" or "visibility" in policy.drop
    if source.visibility != "shared" or not shared:
        return ()
    return None if members is None else map_members(members, policy)


def _bring_up_to_date(case: Case, replica: Image, origin: Provenance) -> Settled:
    if case.context.policy.metadata_only and case.context.target_keeps_owners:
        return update(case, replica, origin)
    if (reason := _lacks(case, replica, origin)) is not None:
        claim = Claim.parse(origin.at)
        if claim and claim.holds_against(case.context.now):
            return (case.note(Standing.BUSY, f"another replicator: {claim}"),)
        stand = arrived(origin.written.members, case.found.members or ())
        return _copy(case, case.wanted, reason, filling=replica, members=stand)
    if not replica.has_data:
        sending = replica.status in ("saving", "uploading", "importing")
        standing = Standing.BUSY if sending else Standing.CONFLICT
        return (case.note(standing, f"it is {replica.status} at the target"),)
    if case.same_data(replica, origin) is False:
        return _id_taken(case, replica)
    return update(case, replica, origin)


def _lacks(case: Case, replica: Image, origin: Provenance) -> str | None:
    """Say what a delivery that broke off has left to do about a replica's data."""
    if replica.status == "queued" or (
        replica.status == "saving" and _is_given_up(origin, replica, case.context.now)
    ):
        return "its data has not arrived"
    # It may have been found wrong, too: no hash tells, so it has to be read.
    unknown = replica.has_data and case.same_data(replica, origin) is None
    return "its data has not been verified" if unknown and unfinished(replica, origin) else None


def _is_given_up(origin: Provenance, replica: Image, now: datetime) -> bool:
    """Say whether nobody sends a replica any more, though the target may still wait for more."""
    claim = Claim.parse(origin.at)
    return claim is not None and claim.is_given_up(replica, now)


def _id_taken(case: Case, other: Image) -> Settled:
    whose = "other data" if other.owner == case.wanted.owner else f"owner {other.owner}"
    reason = f"image {other.id} is there with {whose}"
    match case.context.policy.on_conflict:
        case OnConflict.SKIP:
            return (case.conflict(f"{reason}; see --on-conflict"),)
        case OnConflict.REPLACE:
            fresh = _copy(case, case.wanted, f"{reason}: under a new id", target_id="")
            return (*fresh, *_hide(case, other))
        case OnConflict.RENAME:
            return _copy(case, _renamed(case), f"{reason}: under a new id", target_id="")


def _name_taken(case: Case, other: Image) -> Settled:
    reason = f"the name is taken by image {other.id}, which is no replica of it"
    match case.context.policy.on_conflict:
        case OnConflict.SKIP:
            return (case.conflict(f"{reason}; see --on-conflict"),)
        case OnConflict.REPLACE:
            return (*_copy(case, case.wanted, reason), *_hide(case, other))
        case OnConflict.RENAME:
            return _copy(case, _renamed(case), f"{reason}: under a new name")


def _copy(
    case: Case,
    image: Image,
    reason: str,
    *,
    target_id: str | None = None,
    filling: Image | None = None,
    members: frozenset[str] = frozenset(),
) -> Settled:
    """Plan to send the data; what is recorded as written is what the source says.

    Data that is there already is not sent again, only verified. `members` are digests of those
    that we have written there already.
    """
    only_metadata = case.context.policy.metadata_only
    if only_metadata and not case.context.target_keeps_owners:
        return (case.note(Standing.LEFT_OUT, f"{reason}, and only metadata is wanted"),)
    if filling is not None:
        target_id = filling.id
    sends = not (only_metadata or (filling is not None and filling.has_data))
    add = (case.members or ()) if image.visibility == "shared" else ()
    origin = case.mark(describe_hash(case.source.hashes), Written(), members | member_digests(add))
    return (
        Action(
            kind=Kind.COPY,
            subject=case.subject,
            target_id=case.source.id if target_id is None else target_id,
            reason=reason,
            source_state=case.source_state,
            target_state=state_digest(filling),
            origin=origin,
            image=image,
            bytes=case.source.size or 0 if sends else 0,
            without_data=only_metadata,
            filling=filling is not None,
            add=add,
            needs=boot_files(case.source),
        ),
    )


def _hide(case: Case, other: Image) -> Settled:
    if other.owner != case.wanted.owner or other.os_hidden:
        return ()
    return (
        Action(
            kind=Kind.HIDE,
            subject=replace(case.subject, name=other.name),
            target_id=other.id,
            reason=f"image {case.source.id} of {case.context.source} takes its place",
            source_state=case.source_state,
            target_state=state_digest(other),
            set={"os_hidden": True},
        ),
    )


def _renamed(case: Case) -> Image:
    suffix = f" ({case.context.source[-_LONGEST_SOURCE:]})"
    name = (case.wanted.name or case.source.id)[: LONGEST_NAME - len(suffix)]
    return replace(case.wanted, name=name + suffix)
