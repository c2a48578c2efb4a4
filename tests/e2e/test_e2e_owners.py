"""Owners, users without an administrator's rights, and marks that somebody forged."""

import pytest

from lab import Cloud
from lab.cloud import PROJECT
from tests.e2e.words import livecopy_regions
from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.forgery import marks
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services


def test_owners_are_those_of_the_table_or_the_targets_own_project(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    own = accounts.add("another-admin", role="admin", project="admin")
    athens, crete, other = (accounts.add(f"owner-{word}") for word in ("athens", "crete", "other"))
    mapped = one.put(f"{name}mapped", some_data(1), owner=athens, visibility="private")
    unmapped = one.put(f"{name}unmapped", some_data(1), owner=other, visibility="private")
    words = livecopy_regions(name, "--map-owner", f"{athens}={crete}")
    user.meltemi(*words)
    assert two.show(mapped)["owner"] == crete
    assert two.show(unmapped)["owner"] == own
    assert two.seen_by(accounts.token("owner-crete")).data(mapped) == some_data(1)
    assert user.rows(*words) == []
    one.change(mapped, colour="red")
    user.meltemi(*words)
    assert two.show(mapped)["colour"] == "red"


def test_a_star_keeps_every_owner_and_maps_the_rest(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    first, second, third = (accounts.add(f"star-{word}") for word in ("first", "second", "third"))
    images = [one.put(f"{name}{p}", some_data(2), owner=p) for p in (first, second)]
    guest = accounts.add("star-guest")
    shared = one.put(f"{name}shared", some_data(2), owner=first, visibility="shared")
    one.share(shared, guest, "accepted")
    words = livecopy_regions(
        name, "--members", "--map-owner", "*=*", "--map-owner", f"{second}={third}"
    )
    user.meltemi(*words)
    assert [two.show(image)["owner"] for image in images] == [first, third]
    assert two.members(shared) == {guest: "accepted"}
    assert user.rows(*words) == []


def test_what_a_member_may_and_may_not_do(
    user: User, accounts: Accounts, cloud: Cloud, two: Service, name: str
) -> None:
    """He copies what he sees into his own project, but cannot publish or give it away."""
    project = cloud.keystone.project(PROJECT)
    mine = Service(
        cloud.regions["RegionOne"], cloud.postgres, token=accounts.token("member", PROJECT)
    )
    image = mine.put(f"{name}mine", some_data(3), visibility="shared", colour="red")
    words = ("livecopy", "member:RegionOne", "member:RegionTwo", "--match", f"name={name}*")
    user.meltemi(*words)
    assert (two.show(image)["owner"], two.show(image)["visibility"]) == (project, "shared")
    assert two.seen_by(accounts.token("member", PROJECT)).data(image) == some_data(3)
    assert user.rows(*words) == []
    mine.put(f"{name}given", some_data(3))
    given = ("--exclude", f"id={image}", "--map-owner", f"{project}={accounts.add('elsewhere')}")
    assert "403" in user.meltemi(*words, *given, code=3).about("given")


def test_a_member_cannot_read_what_is_deactivated_and_is_told_so(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    project = accounts.add("reader")
    fine = one.put(f"{name}fine", some_data(7), owner=project)
    image = one.put(f"{name}off", some_data(7), owner=project)
    one.act(image, "deactivate")
    words = ("livecopy", "reader:RegionOne", "reader:RegionTwo", "--match", f"name={name}*")
    done = user.meltemi(*words, "-f", "json", code=3)
    assert {row["ID"]: row["Result"] for row in done.rows} == {fine: "done", image: "failed"}
    assert "deactivated" in done.about(image)
    assert not two.has(image) or two.show(image)["status"] == "queued"
    assert two.data(fine) == some_data(7)


def test_a_member_who_may_not_publish_is_told_what_to_do(
    user: User, cloud: Cloud, one: Service, two: Service, name: str
) -> None:
    image = one.put(f"{name}golden", some_data(4), visibility="public")
    words = ("livecopy", "member:RegionOne", "member:RegionTwo", "--match", f"name={name}*")
    for _ in range(2):
        # Not published the first time, it is not taken for done the second time either.
        refused = user.meltemi(*words, code=3).about("403")
        assert "--visibility" in refused
    assert two.show(image)["visibility"] == "private"
    user.meltemi(*words, "--visibility", "private")
    replica = two.show(image)
    assert (replica["owner"], replica["visibility"]) == (cloud.keystone.project(PROJECT), "private")
    assert two.data(image) == some_data(4)
    assert user.rows(*words, "--visibility", "private") == []


def test_a_forged_mark_is_not_believed(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    """A stranger's image that says it is the golden image's replica is left alone."""
    accounts.add("forger")
    stranger = two.seen_by(accounts.token("forger"))
    golden = one.put(f"{name}golden", some_data(5), visibility="public", os_distro="debian")
    forged = stranger.put(f"{name}golden", b"evil", visibility="shared", os_distro="evil")
    stranger.change(forged, **marks(one, golden, forged))
    before = two.show(forged)
    rows = user.rows(*livecopy_regions(name))
    assert [(row["ID"], row["Action"], row["Result"]) for row in rows] == [(golden, "copy", "done")]
    assert two.show(forged) == before
    assert two.data(golden) == some_data(5)
    one.change(golden, os_distro="changed")
    user.meltemi(*livecopy_regions(name))
    assert (two.show(golden)["os_distro"], two.show(forged)) == ("changed", before)
    assert user.rows(*livecopy_regions(name)) == []


def test_a_forged_mark_does_not_hide_the_true_replica(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    """Where several projects are written to, one cannot speak for another."""
    golden_owner, forger = accounts.add("golden-owner"), accounts.add("forger")
    words = livecopy_regions(name, "--map-owner", "*=*", "--map-owner", f"x={forger}")
    golden = one.put(f"{name}golden", some_data(6), owner=golden_owner, visibility="public")
    two.put("burnt", b"", id=golden)
    two.delete(golden)
    user.meltemi(*words)
    [replica] = two.find(f"{name}golden")
    assert replica["id"] != golden
    stranger = two.seen_by(accounts.token("forger"))
    for identifier in ("00000000", "ffffffff"):
        # One is listed before the true replica, the other after it.
        forged = f"{identifier}-{golden[9:]}"
        stranger.put("forged", some_data(6), id=forged, **marks(one, golden, forged))
    assert user.rows(*words) == []
    one.change(golden, colour="red")
    assert [row["Action"] for row in user.rows(*words)] == ["update"]
    assert two.show(replica["id"])["colour"] == "red"
    assert len(two.find(f"{name}golden")) == 1
    assert all("colour" not in image for image in two.find("forged"))
