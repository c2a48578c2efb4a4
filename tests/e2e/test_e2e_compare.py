"""`compare` shows what `livecopy` would do with the same options."""

import pytest

from tests.e2e.words import Pair, livecopy
from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services


def test_compare_shows_what_becomes_of_replicas_whose_source_is_gone(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    del two
    accounts.add("compared", role="admin")
    pair = ("admin:RegionOne", "compared:RegionTwo", "--match", f"name={name}*")
    image = one.put(f"{name}a", some_data(1))
    user.meltemi("livecopy", *pair)
    one.delete(image)
    assert user.rows("compare", *pair) == []
    for kind in ("hide", "delete"):
        [row] = user.rows("compare", *pair, "--on-source-deletion", kind, code=1)
        assert (row["Action"], row["ID"]) == (kind, image)
    graceful = (*pair, "--on-source-deletion", "delete", "--grace", "1w")
    [row] = user.rows("compare", *graceful, code=1)
    assert "grace begins" in row["Reason"]
    user.meltemi("livecopy", *graceful)
    [row] = user.rows("compare", *graceful)
    assert (row["Action"], row["ID"]) == ("left out", image), "grace has begun, and runs"
    assert "to be deleted after" in row["Reason"]
    other = (*pair, "--exclude", "tag=x", "--on-source-deletion", "delete")
    assert user.rows("compare", *other) == [], "another selection has not brought it"
    user.meltemi("livecopy", *pair, "--on-source-deletion", "delete")


def test_attributes_that_every_image_has_may_be_left_behind_later(
    user: User, others: Pair, name: str
) -> None:
    source, target = others
    image = source.put(f"{name}a", some_data(2), min_ram=5, visibility="public", tags=["t"])
    words = livecopy(others, name)
    user.meltemi(*words)
    left = ("--dontreplicate", "min_ram visibility tags")
    assert user.rows(*words, *left) == []
    source.change(image, min_ram=6, visibility="private", tags=["u"], colour="red")
    assert [row["Result"] for row in user.rows(*words, *left)] == ["done"]
    replica = target.show(image)
    kept = (replica["min_ram"], replica["visibility"], replica["tags"], replica["colour"])
    assert kept == (5, "public", ["t"], "red")
    assert user.rows("compare", *words[1:], *left) == []
