"""Images: hashes that can be compared, and digests that see every change and no order."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meltemi.model.image import Hashes, Image, Member, digest, state_digest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.frozensets(st.text()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
IMAGE = Image("1", "name", properties={"a": "1", "b": "2"}, tags=frozenset({"x", "y"}), size=3)


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (Hashes("1", "sha512", "2"), Hashes("1", "sha512", "2"), True),
        (Hashes("1", "sha512", "2"), Hashes("1", "sha512", "3"), False),
        (Hashes("1", "sha512", "2"), Hashes("1", "sha256", "3"), True),
        (Hashes("1", "sha512", "2"), Hashes("2", "sha256", "2"), False),
        (Hashes("1"), Hashes("1", "sha512", "2"), True),
        (Hashes("1"), Hashes("2"), False),
        (Hashes("1"), Hashes(None, "sha512", "1"), None),
        (Hashes(), Hashes("1", "sha512", "2"), None),
        (Hashes(), Hashes(), None),
        (Hashes("", "sha512", ""), Hashes("", "sha512", ""), None),
    ],
)
def test_hashes_agree(one: Hashes, other: Hashes, verdict: bool | None) -> None:
    assert one.agree(other) is verdict
    assert other.agree(one) is verdict


@given(st.dictionaries(st.text(), VALUES), st.randoms())
def test_a_digest_knows_no_order(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert digest(dict(items)) == digest(value)


def test_a_digest_of_what_is_not_plain_is_a_defect() -> None:
    with pytest.raises(TypeError):
        digest({"a": object()})


@pytest.mark.parametrize(
    "change",
    [
        {"id": "2"},
        {"name": None},
        {"status": "active"},
        {"visibility": "public"},
        {"owner": "x"},
        {"size": 4},
        {"hashes": Hashes("1")},
        {"hashes": Hashes(None, "sha512", "1")},
        {"disk_format": "raw"},
        {"container_format": "bare"},
        {"min_disk": 1},
        {"min_ram": 1},
        {"protected": True},
        {"os_hidden": True},
        {"tags": frozenset({"x"})},
        {"properties": {"a": "1"}},
        {"properties": {"a": "1", "b": "3"}},
        *({"properties": {"a": "1", "b": "2", name: "x"}} for name in ("hash", "members", "size")),
    ],
)
def test_a_state_shows_every_change(change: dict[str, Any]) -> None:
    changed = replace(IMAGE, **change)
    assert state_digest(changed) != state_digest(IMAGE)
    members = (Member("a"), Member("b"))
    assert state_digest(changed, members) != state_digest(IMAGE, members)


def test_a_state_knows_members_but_neither_their_order_nor_times() -> None:
    one, other = Member("a"), Member("b", "accepted")
    assert state_digest(IMAGE, (one, other)) == state_digest(IMAGE, (other, one))
    distinct = [None, (), (one,), (other,), (replace(one, status="rejected"),)]
    assert len({state_digest(IMAGE, members) for members in distinct}) == len(distinct)
    assert state_digest(replace(IMAGE, updated_at="x", created_at="y")) == state_digest(IMAGE)
    assert state_digest(None) == "absent"
    assert state_digest(replace(IMAGE, properties={"b": "2", "a": "1"})) == state_digest(IMAGE)


@pytest.mark.parametrize(
    ("status", "complete"),
    [("active", True), ("deactivated", True), ("queued", False), ("saving", False)],
)
def test_which_images_have_data(status: str, complete: bool) -> None:
    assert Image("1", status=status).has_data is complete


def test_labels() -> None:
    assert Image("1").label == "1"
    assert Image("1", "").label == "1"
    assert Image("1", "name").label == "name (1)"
