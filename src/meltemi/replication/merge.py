"""Three-way merge of metadata: what the source says, what was last written, what stands there.

The source decides about what it has changed since the last write; everything else that the
target's operator added, changed or took away stays.
"""

from collections.abc import Mapping

from meltemi.libraries.base import Changes
from meltemi.model.image import BASE_ATTRIBUTES, MEMBER_STATUSES, Member, Value
from meltemi.model.provenance import Written, short


def merge(
    wanted: Mapping[str, Value], written: Written | None, present: Mapping[str, Value]
) -> Changes:
    """Give what to change at the target; `written` None where nothing was ever written.

    A property that `wanted` lacks is one that the source removed; an attribute that every image
    has, and `wanted` lacks, is left as the target has it.
    """
    before = written.attributes if written else {}
    to_set: dict[str, Value] = {}
    for name, value in wanted.items():
        if name == "tags":
            continue
        if name in present and present[name] == value:
            continue
        last = before.get(name)
        if last is None or last != short(value):
            to_set[name] = value
    to_remove = frozenset(
        name
        for name, last in before.items()
        if name not in wanted
        and name not in BASE_ATTRIBUTES
        and name in present
        and last == short(present[name])
    )
    if "tags" in wanted:
        tags = _merge_tags(wanted["tags"], written, present.get("tags"))
        if tags != present.get("tags"):
            to_set["tags"] = tags
    return Changes(to_set, to_remove)


def merge_members(
    wanted: tuple[Member, ...], before: frozenset[str], present: tuple[Member, ...]
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """Give the members to add (or to bring to another status) and the projects to withdraw from.

    `before` has the digests of those that were last written.
    """
    standing = {member.id: member.status for member in present}
    add = tuple(
        member
        for member in wanted
        if standing.get(member.id) != member.status
        and short([member.id, member.status]) not in before
    )
    names = {member.id for member in wanted}
    withdraw = tuple(
        member.id
        for member in present
        if member.id not in names
        and any(short([member.id, status]) in before for status in MEMBER_STATUSES)
    )
    return add, withdraw


def _merge_tags(wanted: Value, written: Written | None, present: Value) -> frozenset[str]:
    source = wanted if isinstance(wanted, frozenset) else frozenset()
    target = present if isinstance(present, frozenset) else frozenset()
    before = written.tags if written else frozenset()
    if not before:
        return source | target
    kept = {tag for tag in target if tag in source or short(tag) not in before}
    added = {tag for tag in source if tag in target or short(tag) not in before}
    return frozenset(kept | added)
