"""Credentials that hold a token and do not tell its project: what they bring is found again."""

import pytest

from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services


@pytest.fixture
def fixed(accounts: Accounts, two: Service) -> str:
    """Give the cloud of RegionTwo's administrator by a token alone."""
    entry = {"auth_type": "admin_token", "image_endpoint_override": two.url}
    accounts.entry(
        "fixed", {**entry, "auth": {"endpoint": two.url, "token": accounts.token("admin")}}
    )
    return "fixed"


def test_a_second_run_finds_what_the_first_one_brought(
    user: User, fixed: str, one: Service, two: Service, name: str
) -> None:
    image = one.put(f"{name}a", some_data(1), visibility="public")
    words = ("livecopy", "admin:RegionOne", fixed, "--match", f"name={name}*")
    [row] = user.rows(*words)
    assert (row["Result"], row["ID"]) == ("done", image)
    assert two.show(image)["owner"] == one.show(image)["owner"]
    assert user.rows(*words) == []
    assert user.rows(*words, "--on-conflict", "replace") == []
    assert user.rows("compare", "admin:RegionOne", "admin:RegionTwo", *words[3:]) == []
    assert [found["id"] for found in two.images() if found["name"].startswith(name)] == [image]
    one.change(image, os_distro="debian")
    assert [row["Action"] for row in user.rows(*words)] == ["update"]
    assert two.show(image)["os_distro"] == "debian"


def test_a_token_that_is_not_accepted_is_one_line(
    user: User, accounts: Accounts, two: Service, name: str
) -> None:
    entry = {"auth_type": "admin_token", "image_endpoint_override": two.url}
    accounts.entry(f"{name}bad", {**entry, "auth": {"endpoint": two.url, "token": "s3cret"}})
    line = user.meltemi("size", f"{name}bad", code=5).complaint
    assert f"{name}bad: its token is expired or not valid here" in line
    assert "s3cret" not in line
    accounts.entry(f"{name}odd", {**entry, "auth": {"endpoint": two.url, "token": "s3\ncret"}})
    line = user.meltemi("size", f"{name}odd", code=5).complaint
    assert "holds a character that no token can hold" in line
    assert "cret" not in line


def test_no_token_where_one_is_wanted(
    user: User, accounts: Accounts, two: Service, anonymous: Service, name: str
) -> None:
    entry = {"auth_type": "none", "auth": {"endpoint": two.url}}
    accounts.entry(f"{name}none", {**entry, "image_endpoint_override": two.url})
    line = user.meltemi("size", f"{name}none", code=5).complaint
    assert f"{name}none: its token is expired or not valid here" in line
    accounts.entry(f"{name}open", {**entry, "image_endpoint_override": anonymous.url})
    image = anonymous.put(f"{name}a", some_data(1))
    [row] = user.rows("size", f"{name}open", "--match", f"id={image}")
    assert row["Images"] == 1
