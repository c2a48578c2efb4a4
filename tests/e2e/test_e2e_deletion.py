"""What becomes of replicas whose source is gone.

Each test writes to a project of its own: what is gone concerns every replica of a target.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.forgery import marks
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services

Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Pair:
    """A source, and a target as an administrator of one project sees it."""

    source: Service
    target: Service
    run: Callable[..., Rows]
    """Runs livecopy with more words, and ends with `code`."""


@pytest.fixture
def pair(user: User, accounts: Accounts, one: Service, two: Service, name: str) -> Pair:
    keeper = f"keeper-{name.split('.')[-2]}"
    accounts.add(keeper, role="admin")

    def run(*words: str, code: int = 0) -> Rows:
        ends = ("admin:RegionOne", f"{keeper}:RegionTwo")
        return user.rows("livecopy", *ends, "--match", f"name={name}*", *words, code=code)

    return Pair(one, two.seen_by(accounts.token(keeper)), run)


def test_keep_is_what_happens_unless_told_otherwise(pair: Pair, name: str) -> None:
    image = pair.source.put(f"{name}a", some_data(1))
    pair.run()
    pair.source.delete(image)
    assert pair.run() == []
    assert pair.target.data(image) == some_data(1)


def test_hide_hides_once(pair: Pair, name: str) -> None:
    image, other = (pair.source.put(f"{name}{n}", some_data(2)) for n in range(2))
    pair.run()
    pair.source.delete(image)
    assert [r["Action"] for r in pair.run("--on-source-deletion", "hide", "--dry-run")] == ["hide"]
    rows = pair.run("--on-source-deletion", "hide")
    assert [(row["Action"], row["ID"], row["Result"]) for row in rows] == [("hide", image, "done")]
    assert pair.target.show(image)["os_hidden"] is True
    assert pair.target.show(other)["os_hidden"] is False
    assert pair.run("--on-source-deletion", "hide") == []


def test_what_was_hidden_is_shown_again_with_its_source(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    """A source that its reader may no longer see is as good as gone, until he may again."""
    accounts.add("seer")
    accounts.add("seer-keeper", role="admin")
    image = one.put(f"{name}a", some_data(12), visibility="public")
    words = (
        *("livecopy", "seer:RegionOne", "seer-keeper:RegionTwo", "--match", f"name={name}*"),
        *("--on-source-deletion", "hide"),
    )
    user.meltemi(*words)
    one.change(image, visibility="private")
    assert [row["Action"] for row in user.rows(*words)] == ["hide"]
    assert two.show(image)["os_hidden"] is True
    assert user.rows(*words) == []
    one.change(image, visibility="public")
    assert [row["Action"] for row in user.rows(*words)] == ["update"]
    assert two.show(image)["os_hidden"] is False
    assert user.rows(*words) == []


def test_delete_deletes_also_what_is_protected_or_has_another_id(pair: Pair, name: str) -> None:
    plain = pair.source.put(f"{name}plain", some_data(3))
    protected = pair.source.put(f"{name}protected", some_data(3), protected=True)
    guarded = pair.source.put(f"{name}guarded", some_data(3))
    mapped = pair.source.put(f"{name}mapped", some_data(3))
    kept = pair.source.put(f"{name}kept", some_data(3))
    pair.target.put("burnt", b"", id=mapped)
    pair.target.delete(mapped)
    own = pair.target.put(f"{name}own", some_data(4))
    pair.run()
    [replica] = pair.target.find(f"{name}mapped")
    # What the target's operator protected himself stays.
    pair.target.change(guarded, protected=True)
    pair.source.change(protected, protected=False)
    for image in (plain, protected, guarded, mapped):
        pair.source.delete(image)
    rows = {row["ID"]: row for row in pair.run("--on-source-deletion", "delete", code=3)}
    assert {image: row["Result"] for image, row in rows.items()} == {
        plain: "done",
        protected: "done",
        mapped: "done",
        guarded: "failed",
    }
    assert "protected" in rows[guarded]["Detail"]
    assert not any(pair.target.has(image) for image in (plain, protected, replica["id"]))
    assert all(pair.target.has(image) for image in (guarded, kept, own))


def test_grace_gives_time_and_a_source_that_is_back_ends_it(
    pair: Pair, user: User, name: str
) -> None:
    del user
    image = pair.source.put(f"{name}a", some_data(5))
    pair.run()
    size = f"'{image}'"
    pair.source.sql(f"UPDATE images SET deleted = true, status = 'deleted' WHERE id = {size}")
    week = ("--on-source-deletion", "delete", "--grace", "1w")
    assert [(row["Action"], row["Result"]) for row in pair.run(*week)] == [("update", "done")]
    [waiting] = pair.run(*week)
    assert waiting["Result"] == "left out", "grace has begun, and runs"
    assert pair.target.has(image)
    pair.source.sql(f"UPDATE images SET deleted = false, status = 'active' WHERE id = {size}")
    pair.run(*week)
    assert "gone" not in pair.target.show(image)["meltemi_written"].split('"attributes"')[0]
    assert pair.run(*week) == []
    pair.source.delete(image)
    pair.run(*week)
    short = ("--on-source-deletion", "delete", "--grace", "0s")
    assert [(row["Action"], row["Result"]) for row in pair.run(*short)] == [("delete", "done")]
    assert not pair.target.has(image)


def test_the_guard_deletes_nothing_at_all(pair: Pair, name: str) -> None:
    images = [pair.source.put(f"{name}{number}", some_data(6)) for number in range(3)]
    pair.run()
    for image in images:
        pair.source.delete(image)
    new = pair.source.put(f"{name}new", some_data(7))
    rows = pair.run("--on-source-deletion", "delete", "--max-delete", "2", code=7)
    results = {row["ID"]: row["Result"] for row in rows}
    assert results == {**dict.fromkeys(images, "skipped"), new: "done"}
    assert all(pair.target.has(image) for image in images)
    rows = pair.run("--on-source-deletion", "delete", "--max-delete", "3")
    assert {row["Result"] for row in rows} == {"done"}
    assert not any(pair.target.has(image) for image in images)


def test_nothing_is_deleted_after_a_run_with_errors(pair: Pair, name: str) -> None:
    gone = pair.source.put(f"{name}gone", some_data(8))
    pair.run()
    pair.source.delete(gone)
    broken = pair.source.put(f"{name}broken", some_data(9))
    pair.source.sql(f"UPDATE images SET os_hash_value = repeat('0', 128) WHERE id = '{broken}'")
    rows = {r["ID"]: r["Result"] for r in pair.run("--on-source-deletion", "delete", code=3)}
    assert rows == {broken: "failed", gone: "skipped"}
    assert pair.target.has(gone)
    pair.target.wait_for(broken, "queued")


def test_deselected_images_are_not_gone(pair: Pair, name: str) -> None:
    image = pair.source.put(f"{name}a", some_data(10))
    pair.run()
    assert pair.run("--exclude", f"name={name}a", "--on-source-deletion", "delete") == []
    pair.source.change(image, name="left the selection", os_hidden=True)
    assert pair.run("--on-source-deletion", "delete") == []
    assert pair.target.has(image)


def test_a_forged_mark_cannot_use_up_the_guard(
    pair: Pair, accounts: Accounts, two: Service, name: str
) -> None:
    accounts.add("forger")
    stranger = two.seen_by(accounts.token("forger"))
    image = pair.source.put(f"{name}a", some_data(11))
    pair.run()
    for number in range(2):
        forged = stranger.put(f"{name}forged {number}", b"x")
        stranger.change(forged, **marks(pair.source, image, forged, of=forged))
    pair.source.delete(image)
    rows = pair.run("--on-source-deletion", "delete", "--max-delete", "1")
    assert [(row["ID"], row["Result"]) for row in rows] == [(image, "done")]
