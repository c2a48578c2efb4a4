"""Three-way merges: the source's changes flow, the target's own stay, twice is once."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from meltemi.libraries.base import Changes
from meltemi.model.image import Member, Value
from meltemi.model.provenance import Written, member_digests
from meltemi.replication.merge import merge, merge_members

TAGS = st.frozensets(st.sampled_from("abcde"))
PROPERTIES = st.dictionaries(st.sampled_from("pqrstu"), st.sampled_from(["", "1", "2"]))
NAMES = st.sampled_from([None, "", "x", "y"])
ATTRIBUTES = st.builds(
    lambda name, protected, tags, properties: {
        "name": name,
        "protected": protected,
        "tags": tags,
        **properties,
    },
    NAMES,
    st.booleans(),
    TAGS,
    PROPERTIES,
)
MEMBERS = st.dictionaries(
    st.sampled_from("abcd"), st.sampled_from(["pending", "accepted", "rejected"])
).map(lambda found: tuple(Member(project, found[project]) for project in sorted(found)))

State = Mapping[str, Value]


def apply(changes: Changes, present: State) -> dict[str, Value]:
    kept = {name: value for name, value in present.items() if name not in changes.remove}
    return {**kept, **changes.set}


def tags_of(state: State) -> frozenset[str]:
    tags = state["tags"]
    assert isinstance(tags, frozenset)
    return tags


@given(ATTRIBUTES, ATTRIBUTES)
def test_nothing_written_before_means_that_the_source_decides(
    wanted: State, present: State
) -> None:
    after = apply(merge(wanted, None, present), present)
    assert after == {**present, **wanted, "tags": tags_of(wanted) | tags_of(present)}


@given(ATTRIBUTES, ATTRIBUTES, ATTRIBUTES)
def test_each_attribute_by_itself(before: State, wanted: State, present: State) -> None:
    after = apply(merge(wanted, Written.of(before), present), present)
    for name in {*before, *wanted, *present} - {"tags"}:
        source_changed = before.get(name, ...) != wanted.get(name, ...)
        target_changed = before.get(name, ...) != present.get(name, ...)
        found = after.get(name, ...)
        if source_changed and name in wanted:
            assert found == wanted[name]
        elif source_changed and not target_changed:
            assert name not in after
        else:
            assert found == present.get(name, ...)


@given(ATTRIBUTES, ATTRIBUTES, ATTRIBUTES)
def test_tags_one_by_one(before: State, wanted: State, present: State) -> None:
    after = tags_of(apply(merge(wanted, Written.of(before), present), present))
    for tag in "abcde":
        was, is_wanted, there = (tag in tags_of(s) for s in (before, wanted, present))
        if was == is_wanted:
            assert (tag in after) == (there if was else there or is_wanted)
        else:
            assert (tag in after) == is_wanted


@given(st.none() | ATTRIBUTES, ATTRIBUTES, ATTRIBUTES)
def test_merging_again_changes_nothing(before: State | None, wanted: State, present: State) -> None:
    written = None if before is None else Written.of(before)
    after = apply(merge(wanted, written, present), present)
    assert not merge(wanted, Written.of(wanted), after)


@given(ATTRIBUTES, ATTRIBUTES)
def test_the_targets_own_changes_alone_are_left(written: State, present: State) -> None:
    assert not merge(written, Written.of(written), present)


@given(ATTRIBUTES, ATTRIBUTES)
def test_a_replica_nobody_touched_follows(before: State, wanted: State) -> None:
    assert apply(merge(wanted, Written.of(before), before), before) == wanted


@given(ATTRIBUTES, ATTRIBUTES, ATTRIBUTES)
def test_only_what_differs_is_changed(before: State, wanted: State, present: State) -> None:
    changes = merge(wanted, Written.of(before), present)
    assert changes.remove <= present.keys()
    assert all(present.get(name, ...) != value for name, value in changes.set.items())


def apply_members(
    change: tuple[tuple[Member, ...], tuple[str, ...]], present: tuple[Member, ...]
) -> dict[str, str]:
    add, withdraw = change
    found = {m.id: m.status for m in present} | {m.id: m.status for m in add}
    return {project: status for project, status in found.items() if project not in withdraw}


@given(MEMBERS, MEMBERS, MEMBERS)
def test_members_one_by_one(
    before: tuple[Member, ...], wanted: tuple[Member, ...], present: tuple[Member, ...]
) -> None:
    after = apply_members(merge_members(wanted, member_digests(before), present), present)
    was, now, there = ({m.id: m.status for m in found} for found in (before, wanted, present))
    for project in "abcd":
        if was.get(project) == now.get(project):
            assert after.get(project) == there.get(project)
        else:
            assert after.get(project) == now.get(project)


@given(MEMBERS, MEMBERS, MEMBERS)
def test_merging_members_again_changes_nothing(
    before: tuple[Member, ...],
    wanted: tuple[Member, ...],
    present: tuple[Member, ...],
) -> None:
    after = apply_members(merge_members(wanted, member_digests(before), present), present)
    again = tuple(Member(project, status) for project, status in sorted(after.items()))
    assert merge_members(wanted, member_digests(wanted), again) == ((), ())
