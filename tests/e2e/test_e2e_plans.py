"""meltemi.yaml, plans that are saved, and carrying them out."""

import json
import stat

import pytest

from lab import Cloud
from tests.e2e.words import Pair
from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services


def configure(user: User, others: Pair, name: str, more: str = "") -> None:
    """Write a meltemi.yaml with one route, from the first of two services to the second."""
    source, target = others
    user.write(
        "meltemi.yaml",
        f"""
version: 1
libraries:
  athens: {{url: "{source.url}"}}
  crete: {{url: "{target.url}"}}
  vault: {{path: vault}}
routes:
  golden:
    from: athens
    to: crete
    match: {{name: "{name}*"}}
{more}""",
    )


def test_plan_check_and_sync(user: User, others: Pair, name: str) -> None:
    source, target = others
    configure(user, others, name)
    image = source.put(f"{name}a", some_data(1), colour="red")
    planned = user.meltemi("plan", "-f", "json")
    assert [(r["Action"], r["ID"], r["From"], r["To"], r["Bytes"]) for r in planned.rows] == [
        ("copy", image, "athens", "crete", 5000)
    ]
    assert planned.err == "0 in sync, 1 to do (4.9 KiB)\n"
    user.meltemi("plan", "--check", code=1)
    assert user.rows("sync", "--dry-run") == planned.rows
    assert not target.has(image)
    assert [(row["Result"], row["To"]) for row in user.rows("sync")] == [("done", "crete")]
    assert target.data(image) == some_data(1)
    assert user.meltemi("plan", "--check").err == "1 in sync, 0 to do (0 B)\n"
    source.change(image, colour="blue")
    user.meltemi("plan", "--check", code=1)
    assert [row["Action"] for row in user.rows("sync", user.folder / "meltemi.yaml")] == ["update"]


def test_a_route_leads_to_many_and_what_it_says_holds(
    user: User, accounts: Accounts, others: Pair, name: str
) -> None:
    del accounts
    source, target = others
    configure(
        user,
        others,
        name,
        more=f"""
    exclude: {{tag: wip}}
    where: 'image.size > 100'
    drop: build_host
    visibility: community
    values: {{licence: {{ours: theirs}}}}
    transfers: 2
  other:
    from: athens
    to: [crete, vault]
    match: {{name: "other.{name}*"}}
""",
    )
    image = source.put(f"{name}a", some_data(2), build_host="x", licence="ours")
    source.put(f"{name}small", b"small")
    source.put(f"{name}wip", some_data(2), tags=["wip"])
    other = source.put(f"other.{name}a", some_data(3))
    assert [row["ID"] for row in user.rows("sync", "--route", "golden")] == [image]
    replica = target.show(image)
    assert (replica["visibility"], replica["licence"]) == ("community", "theirs")
    assert "build_host" not in replica
    rows = {(row["ID"], row["To"]) for row in user.rows("sync")}
    assert rows == {(other, "crete"), (other, "vault")}
    assert (user.folder / "vault").is_dir()
    assert user.rows("sync") == []
    assert "no route 'silver'" in user.meltemi("plan", "--route", "silver", code=2).complaint


def test_a_saved_plan_is_private_and_carried_out_as_it_stands(
    user: User, others: Pair, name: str
) -> None:
    source, target = others
    configure(user, others, name)
    image = source.put(f"{name}a", some_data(4), colour="red")
    update = source.put(f"{name}b", some_data(5), colour="red")
    user.meltemi("sync", "--route", "golden")
    late = source.put(f"{name}c", some_data(6))
    source.change(update, colour="blue")
    user.meltemi("plan", "--out", "today.plan")
    plan = user.folder / "today.plan"
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in plan.read_text().splitlines()]
    assert lines[0]["meltemi_plan"] == 1
    assert len(lines) == 3
    later = source.put(f"{name}later", some_data(7))
    rows = {(row["ID"], row["Action"], row["Result"]) for row in user.rows("apply", "today.plan")}
    assert rows == {(late, "copy", "done"), (update, "update", "done")}
    assert target.show(update)["colour"] == "blue"
    assert target.show(image)["colour"] == "red"
    assert not target.has(later)
    # Once carried out it is stale, and does no harm.
    again = user.rows("apply", "today.plan", code=4)
    assert {row["Result"] for row in again} == {"stale"}


def test_what_changed_since_the_plan_is_skipped_and_the_rest_done(
    user: User, others: Pair, name: str
) -> None:
    source, target = others
    configure(user, others, name)
    names = ("changed", "gone", "taken", "touched", "fine")
    images = {key: source.put(f"{name}{key}", some_data(8), colour="red") for key in names}
    user.meltemi("livecopy", source.address, target.address, "--match", f"id={images['touched']}")
    source.change(images["touched"], colour="blue")
    user.meltemi("plan", "--out", "p")
    source.change(images["changed"], colour="blue")
    source.delete(images["gone"])
    target.put("something else", b"else", id=images["taken"])
    target.change(images["touched"], local="1")
    done = user.meltemi("apply", "p", "-f", "json", code=4)
    results = {row["ID"]: row["Result"] for row in done.rows}
    stale = {images[key]: "stale" for key in names if key != "fine"}
    assert results == {**stale, images["fine"]: "done"}
    assert target.data(images["fine"]) == some_data(8)
    assert not target.has(images["changed"])
    assert target.show(images["touched"])["colour"] == "red"
    assert target.data(images["taken"]) == b"else"
    assert done.about(images["changed"], "stale", "plan again")


def test_a_plan_with_members_is_not_stale_by_itself(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    """A replica that becomes shared had no members that could be looked at before."""
    user.write(
        "meltemi.yaml",
        f"""
version: 1
libraries:
  athens: {{cloud: admin, region: RegionOne}}
  crete: {{cloud: admin, region: RegionTwo}}
defaults: {{members: true, match: {{name: "{name}*"}}}}
routes:
  golden: {{from: athens, to: crete}}
""",
    )
    guest = accounts.add("plan-guest")
    private = one.put(f"{name}private", some_data(9), visibility="private")
    shared = one.put(f"{name}shared", some_data(9), visibility="shared")
    user.meltemi("sync")
    one.change(private, visibility="shared")
    for image in (private, shared):
        one.share(image, guest, "accepted")
    new = one.put(f"{name}new", some_data(9), visibility="shared")
    one.share(new, guest)
    user.meltemi("plan", "--out", "p")
    assert {row["Result"] for row in user.rows("apply", "p")} == {"done"}
    assert two.members(private) == two.members(shared) == {guest: "accepted"}
    assert two.members(new) == {guest: "pending"}
    assert user.rows("sync") == []


def test_a_plan_for_another_library_is_refused(
    user: User, accounts: Accounts, cloud: Cloud, others: Pair, name: str
) -> None:
    source, target = others
    endpoint = {"auth_type": "none", "image_endpoint_override": target.url}
    accounts.entry("moving", {**endpoint, "auth": {"endpoint": target.url}})
    user.write(
        "meltemi.yaml",
        f"""
version: 1
libraries: {{athens: {{url: "{source.url}"}}, crete: {{cloud: moving}}}}
routes: {{golden: {{from: athens, to: crete, match: {{name: "{name}*"}}}}}}
""",
    )
    image = source.put(f"{name}a", some_data(10))
    user.meltemi("plan", "--out", "p")
    elsewhere = cloud.secure().url
    accounts.entry(
        "moving",
        {**endpoint, "auth": {"endpoint": elsewhere}, "image_endpoint_override": elsewhere},
    )
    refused = user.meltemi("apply", "p", "--cacert", cloud.authority.bundle, code=4)
    assert "crete was" in refused.complaint
    accounts.entry("moving", {**endpoint, "auth": {"endpoint": target.url}})
    assert [row["Result"] for row in user.rows("apply", "p")] == ["done"]
    assert target.has(image)


def test_a_plan_that_was_edited_is_refused_with_its_line(
    user: User, others: Pair, name: str
) -> None:
    source, target = others
    configure(user, others, name)
    image = source.put(f"{name}a", some_data(11))
    user.meltemi("plan", "--out", "p")
    plan = user.folder / "p"
    plan.write_text(plan.read_text().replace('"kind":"copy"', '"kind":"burn"'))
    assert "p:2: " in user.meltemi("apply", "p", code=2).complaint
    plan.write_text("{}\n")
    assert "p:1: " in user.meltemi("apply", "p", code=2).complaint
    assert "cannot read" in user.meltemi("apply", "none", code=2).complaint
    assert not target.has(image)
