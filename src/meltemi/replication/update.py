"""What to change about a replica that has its data."""

from dataclasses import replace
from typing import Final

from meltemi.libraries.base import Changes
from meltemi.model.image import PUBLISHED_LAST, Image, state_digest
from meltemi.model.plan import Action, Kind
from meltemi.model.provenance import (
    COMPUTED,
    PENDING,
    Provenance,
    Written,
    describe_hash,
    member_digests,
    read_provenance,
)
from meltemi.replication.case import Case, Settled
from meltemi.replication.claim import unfinished
from meltemi.replication.mapping import narrower
from meltemi.replication.merge import merge
from meltemi.replication.sharing import arrived, cannot_withdraw, merge_sharing

_SAFETY: Final = frozenset({"status", "os_hidden", "protected"})
"""What an image that is adopted keeps as the target's operator has set it."""


def update(case: Case, replica: Image, origin: Provenance) -> Settled:
    """Plan what brings a replica's metadata and members up to date."""
    context = case.context
    claimed = unfinished(replica, origin)
    before = _written_before(case, origin, claimed=claimed)
    changes = _changes(case, replica, before)
    visibility = changes.set.get("visibility", replica.visibility)
    shared = visibility == "shared"
    unseen = replica.visibility != "shared" and case.found.members is None
    if shared and unseen and cannot_withdraw(case.members, before.members):
        return (case.conflict(_LEFTOVERS.format(replica.visibility)),)
    sharing = merge_sharing(case.members, before.members, case.found.members, shared=shared)
    known = read_provenance(replica) is not None
    elsewhere = not known or origin.library != context.source_identity
    # What was there before its archive was loaded stays an original, or another's replica.
    unmarked = context.target_keeps_owners or (context.source_keeps_owners and elsewhere)
    marked = unmarked or (not elsewhere and origin.gone_since is None and not claimed)
    if marked and not (changes or sharing.differs):
        return ()
    kind, reason = _kind_and_reason(changes, members_differ=sharing.differs)
    mark = case.mark(_source_hash(case, origin), before, sharing.written)
    return (
        Action(
            kind=kind,
            subject=case.subject,
            target_id=replica.id,
            reason=reason,
            source_state=case.source_state,
            target_state=state_digest(replica, case.found.members),
            origin=None if unmarked else mark,
            set=changes.set,
            remove=changes.remove,
            add=sharing.add,
            withdraw=sharing.withdraw,
        ),
    )


_LEFTOVERS: Final = (
    "it would be shared, also with projects that it was shared with once and no longer is: the "
    "target withdraws none while it is {}; share it there by hand, and run again with --members"
)


def _written_before(case: Case, origin: Provenance, *, claimed: bool) -> Written:
    """Give what was last written: of what a delivery that broke off announced, what has arrived."""
    present = case.found.members or ()
    if case.context.target_keeps_owners:
        return replace(origin.written, members=member_digests(present))
    if not claimed:
        return origin.written
    later = {*PUBLISHED_LAST, "status"}
    attributes = {k: value for k, value in origin.written.attributes.items() if k not in later}
    return Written(attributes, origin.written.tags, arrived(origin.written.members, present))


def _changes(case: Case, replica: Image, before: Written) -> Changes:
    wanted, present = case.attributes(), replica.attributes()
    if case.context.policy.metadata_only:
        wanted["status"] = present["status"]
    changes = merge(wanted, before, present)
    if case.context.target_keeps_owners or read_provenance(replica) is not None:
        return changes
    # What the target's operator closed before it became a replica stays closed.
    kept = {name: value for name, value in changes.set.items() if name not in _SAFETY}
    if (visibility := kept.pop("visibility", None)) is not None:
        narrow = narrower(str(visibility), replica.visibility)
        if narrow != replica.visibility:
            kept["visibility"] = narrow
    return replace(changes, set=kept)


def _source_hash(case: Case, origin: Provenance) -> str:
    computed = origin.source_hash.startswith(COMPUTED) and origin.source_hash != PENDING
    return origin.source_hash if computed else describe_hash(case.source.hashes)


def _kind_and_reason(changes: Changes, *, members_differ: bool) -> tuple[Kind, str]:
    names = sorted({*changes.set, *changes.remove}) + ["members"] * members_differ
    if not names:
        return Kind.UPDATE, "its mark of origin is missing or incomplete"
    reason = f"{', '.join(names)} changed"
    if names == ["name"]:
        return Kind.RENAME, reason
    return (Kind.SHARE if names == ["members"] else Kind.UPDATE), reason
