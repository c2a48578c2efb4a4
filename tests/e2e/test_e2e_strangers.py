"""What is private at the source stays so at the target, whoever asks for it there."""

import pytest

from tests.e2e.words import livecopy_regions
from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.glance import RefusedError, Service, some_data

pytestmark = pytest.mark.services


def test_a_stranger_cannot_have_a_private_image_brought_along(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    victim, stranger = accounts.add("boot-victim"), accounts.add("boot-stranger")
    strangers = one.seen_by(accounts.token("boot-stranger"))
    secret = one.put(f"{name}secret", some_data(1), owner=victim, visibility="private")
    bait = strangers.put(f"{name}bait", some_data(2), visibility="community", kernel_id=secret)
    with pytest.raises(RefusedError):
        strangers.show(secret)
    for more in (["--map-owner", f"*={stranger}"], ["--visibility", "public"]):
        words = livecopy_regions(f"{name}bait", *more)
        [row] = user.rows(*words, code=1)
        assert (row["ID"], row["Result"]) == (bait, "conflict")
        assert secret in row["Detail"]
        assert not two.has(secret)
        assert not two.has(bait)


def test_what_is_excluded_or_unselected_is_neither_brought_along_nor_published(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    owner = accounts.add("boot-owner")
    kernel = one.put(f"{name}vmlinuz", some_data(3), owner=owner, visibility="private")
    disk = one.put(f"{name}disk", some_data(4), owner=owner, kernel_id=kernel)
    words = livecopy_regions(f"{name}disk", "--map-owner", "*=*", "--visibility", "public")
    [row] = user.rows(*words, "--exclude", f"id={kernel}", code=1)
    assert "excluded by" in row["Detail"]
    assert not two.has(disk)
    assert {row["Result"] for row in user.rows(*words)} == {"done"}
    assert two.show(disk)["visibility"] == "public"
    assert two.show(kernel)["visibility"] == "private"
    assert two.seen_by(accounts.token("boot-owner")).data(kernel) == some_data(3)
    assert user.rows(*words) == []


def test_a_withdrawn_member_sees_nothing_when_the_image_is_shared_again(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    friend, foe = accounts.add("member-friend"), accounts.add("member-foe")
    theirs = two.seen_by(accounts.token("member-foe"))
    image = one.put(f"{name}a", some_data(5), visibility="shared")
    one.share(image, friend, "accepted")
    one.share(image, foe, "accepted")
    words = livecopy_regions(name, "--members")
    user.meltemi(*words)
    assert theirs.data(image) == some_data(5)
    one.change(image, visibility="private")
    user.meltemi(*words)
    one.change(image, visibility="shared")
    one.unshare(image, foe)
    user.meltemi(*words)
    assert two.members(image) == {friend: "accepted"}
    with pytest.raises(RefusedError):
        theirs.show(image)
    assert user.rows(*words) == []
    assert user.rows("compare", *words[1:]) == []
