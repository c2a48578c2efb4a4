"""Whom a replica is shared with: what to change about its members.

Glance lists members, and withdraws them, only while an image is shared; while it is not, it keeps
them, and all are back when it is shared again. So what is no longer offered is withdrawn before a
replica stops being shared.
"""

from dataclasses import dataclass

from meltemi.model.image import MEMBER_STATUSES, Member
from meltemi.model.provenance import member_digests, short
from meltemi.replication.merge import merge_members


@dataclass(frozen=True, slots=True)
class Sharing:
    """Members to add and projects to withdraw from; `written` are digests of what is left then."""

    written: frozenset[str]
    add: tuple[Member, ...] = ()
    withdraw: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Say whether there is anything to change."""
        return bool(self.add or self.withdraw)


def merge_sharing(
    wanted: tuple[Member, ...] | None,
    before: frozenset[str],
    present: tuple[Member, ...] | None,
    *,
    shared: bool,
) -> Sharing:
    """Merge members three ways.

    `wanted` is None where they are not carried, `present` None where the target does not list
    them; `before` has the digests of what was last written, and `shared` says whether the image
    is going to be shared.
    """
    if not shared and present is not None:
        wanted = ()
    if wanted is None or (present is None and not shared):
        return Sharing(before)
    add, withdraw = merge_members(wanted, before, present or ())
    return Sharing(member_digests(wanted), add, withdraw)


def cannot_withdraw(wanted: tuple[Member, ...] | None, before: frozenset[str]) -> bool:
    """Say whether somebody was written who is wanted no longer, whoever that is."""
    return not before <= {digest for member in wanted or () for digest in _any_status(member)}


def arrived(announced: frozenset[str], present: tuple[Member, ...]) -> frozenset[str]:
    """Give digests of the members that were announced and stand there, whatever their status."""
    return member_digests(m for m in present if not announced.isdisjoint(_any_status(m)))


def _any_status(member: Member) -> set[str]:
    return {short([member.id, status]) for status in MEMBER_STATUSES}
