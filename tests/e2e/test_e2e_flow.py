"""Metadata changes flow from the source, and what the target's operator did stays."""

import json
from typing import Any

import pytest

from tests.e2e.words import Pair, livecopy
from tests.support.cli import User
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services


def test_added_changed_and_removed_metadata_flows(user: User, others: Pair, name: str) -> None:
    source, target = others
    image = source.put(
        f"{name}a", some_data(1), tags=["old", "kept"], changed="1", removed="1", kept="1"
    )
    user.meltemi(*livecopy(others, name))
    target.change(image, removed_too="target")
    source.change(
        image,
        remove=("removed",),
        name=f"{name}renamed",
        tags=["new", "kept"],
        visibility="public",
        protected=True,
        os_hidden=True,
        min_disk=3,
        changed="2",
        added="1",
    )
    source.act(image, "deactivate")
    assert [row["Action"] for row in user.rows(*livecopy(others, name))] == ["update"]
    replica = target.show(image)
    assert replica["name"] == f"{name}renamed"
    assert sorted(replica["tags"]) == ["kept", "new"]
    assert (replica["visibility"], replica["protected"], replica["os_hidden"]) == (
        "public",
        True,
        True,
    )
    assert (replica["min_disk"], replica["status"]) == (3, "deactivated")
    assert (replica["changed"], replica["added"], replica["kept"]) == ("2", "1", "1")
    assert "removed" not in replica
    assert replica["removed_too"] == "target"
    assert user.rows(*livecopy(others, name)) == []
    source.act(image, "reactivate")
    source.change(image, protected=False, visibility="private", os_hidden=False, min_disk=0)
    user.meltemi(*livecopy(others, name))
    replica = target.show(image)
    assert (replica["status"], replica["visibility"]) == ("active", "private")
    assert (replica["protected"], replica["os_hidden"]) == (False, False)
    assert target.data(image) == some_data(1)


def test_a_rename_is_told_as_one(user: User, others: Pair, name: str) -> None:
    source, target = others
    image = source.put(f"{name}a", some_data(2))
    user.meltemi(*livecopy(others, name))
    source.change(image, name=f"{name}b")
    assert [row["Action"] for row in user.rows(*livecopy(others, name))] == ["rename"]
    assert target.show(image)["name"] == f"{name}b"


def test_what_the_targets_operator_did_stays(user: User, others: Pair, name: str) -> None:
    source, target = others
    image = source.put(f"{name}a", some_data(3), tags=["source"], theirs="1", flows="1", gone="1")
    user.meltemi(*livecopy(others, name))
    target.change(
        image,
        remove=("gone",),
        name=f"{name}local",
        tags=["source", "local"],
        visibility="community",
        theirs="changed here",
        added="here",
    )
    assert user.rows(*livecopy(others, name)) == []
    source.change(image, flows="2", tags=["source", "more"])
    user.meltemi(*livecopy(others, name))
    replica = target.show(image)
    assert (replica["name"], replica["visibility"]) == (f"{name}local", "community")
    assert (replica["theirs"], replica["added"], replica["flows"]) == ("changed here", "here", "2")
    assert "gone" not in replica
    assert sorted(replica["tags"]) == ["local", "more", "source"]
    # Where the source changes the very same thing, it decides.
    source.change(image, theirs="2", name=f"{name}b", gone="2")
    user.meltemi(*livecopy(others, name))
    replica = target.show(image)
    assert (replica["theirs"], replica["name"], replica["gone"]) == ("2", f"{name}b", "2")
    # What the target's operator changed is not removed with the source's.
    target.change(image, theirs="3")
    source.change(image, remove=("theirs", "flows"))
    user.meltemi(*livecopy(others, name))
    replica = target.show(image)
    assert replica["theirs"] == "3"
    assert "flows" not in replica
    assert user.rows(*livecopy(others, name)) == []


def test_routes_in_both_directions_do_not_echo(user: User, others: Pair, name: str) -> None:
    source, target = others
    here, there = source.put(f"{name}here", some_data(4)), target.put(f"{name}there", some_data(5))
    back = (target, source)
    assert [row["ID"] for row in user.rows(*livecopy(others, name))] == [here]
    rows = {row["ID"]: row["Result"] for row in user.rows(*livecopy(back, name))}
    assert rows == {there: "done", here: "left out"}
    again = user.rows(*livecopy(others, name))
    assert [(row["ID"], row["Result"]) for row in again] == [(there, "left out")]
    assert not any(key.startswith("meltemi_") for key in source.show(here))
    assert not any(key.startswith("meltemi_") for key in target.show(there))


def test_replicas_are_carried_on_when_asked_for_but_never_home(
    user: User, others: Pair, two: Service, name: str
) -> None:
    source, target = others
    image = source.put(f"{name}a", some_data(6), colour="red")
    user.meltemi(*livecopy(others, name))
    onward = ("livecopy", target.address, "admin:RegionTwo", "--match", f"name={name}*")
    assert [row["Result"] for row in user.rows(*onward)] == ["left out"]
    assert [row["Result"] for row in user.rows(*onward, "--replicas")] == ["done"]
    assert two.show(image)["meltemi_source"] == f"{target.url}/{image}"
    # An older copy's metadata must not come back over the original's.
    source.change(image, colour="blue")
    user.meltemi(*livecopy((target, source), name, "--replicas"))
    home = ("livecopy", "admin:RegionTwo", source.address, "--match", f"name={name}*", "--replicas")
    user.meltemi(*home)
    original = source.show(image)
    assert original["colour"] == "blue"
    assert not any(key.startswith("meltemi_") for key in original)
    user.meltemi(*livecopy(others, name))
    user.meltemi(*onward, "--replicas")
    assert two.show(image)["colour"] == "blue"


def test_a_copy_made_by_other_means_is_taken_over(user: User, others: Pair, name: str) -> None:
    source, target = others
    image = source.put(f"{name}a", some_data(7), colour="red", gone="later")
    target.put(f"{name}a", some_data(7), id=image, colour="blue", local="1")
    assert [row["Action"] for row in user.rows(*livecopy(others, name))] == ["update"]
    replica = target.show(image)
    assert (replica["colour"], replica["local"]) == ("red", "1")
    source.change(image, remove=("gone",))
    user.meltemi(*livecopy(others, name))
    assert "gone" not in target.show(image)
    assert user.rows(*livecopy(others, name)) == []


def test_a_snapshot_that_inherits_the_marks_is_no_replica(
    user: User, others: Pair, name: str
) -> None:
    """Nova copies an image's properties to the snapshots of what booted from it."""
    source, target = others
    image = source.put(f"{name}golden", some_data(8), os_distro="debian")
    user.meltemi(*livecopy(others, name))
    inherited = {
        key: value
        for key, value in target.show(image).items()
        if key.startswith(("meltemi_", "os_distro"))
    }
    snapshot = target.put(
        f"{name}snapshot", some_data(9), image_type="snapshot", base_image_ref=image, **inherited
    )
    source.change(image, os_distro="changed")
    assert [row["ID"] for row in user.rows(*livecopy(others, name))] == [image]
    assert target.show(snapshot)["os_distro"] == "debian"
    assert target.show(image)["os_distro"] == "changed"
    # It is an image of the target's own, and travels without the marks that are not its own.
    rows = {row["ID"]: row["Result"] for row in user.rows(*livecopy((target, source), name))}
    assert rows == {snapshot: "done", image: "left out"}
    marks = source.show(snapshot)
    assert marks["meltemi_source"] == f"{target.url}/{snapshot}"
    written = json.loads(marks["meltemi_written"])
    assert not any(key.startswith("meltemi_") for key in written["attributes"])


def test_many_properties_stay_within_glances_limit(user: User, others: Pair, name: str) -> None:
    """Glance allows 128 properties: the marks need four of them."""
    source, target = others
    before: dict[str, Any] = {f"property_{number}": "x" for number in range(124)}
    image = source.put(f"{name}a", some_data(10), **before)
    user.meltemi(*livecopy(others, name))
    after: dict[str, Any] = dict.fromkeys(before, "y")
    source.change(image, **after)
    user.meltemi(*livecopy(others, name))
    replica = target.show(image)
    assert all(replica[f"property_{number}"] == "y" for number in range(124))
    assert user.rows(*livecopy(others, name)) == []
