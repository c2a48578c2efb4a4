"""Somebody who registers an image's id at the target before the replicator does."""

import pytest

from lab.cloud import PROJECT
from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.forgery import marks
from tests.support.glance import RefusedError, Service, some_data
from tests.support.proxy import Fault, Proxy

pytestmark = pytest.mark.services

SECRET = some_data(31)


@pytest.fixture
def places(one: Service, two: Service) -> tuple[Service, Service]:
    """Give both regions."""
    return one, two


@pytest.fixture
def squatter(accounts: Accounts, two: Service) -> Service:
    """Give the target as a member sees it who takes ids that others want."""
    accounts.add("squatter")
    return two.seen_by(accounts.token("squatter"))


@pytest.mark.parametrize("data", [None, SECRET], ids=["waiting for data", "with the same data"])
@pytest.mark.parametrize("forged", [False, True], ids=["unmarked", "marked"])
def test_an_id_that_somebody_takes_while_the_service_fails(
    user: User,
    accounts: Accounts,
    places: tuple[Service, Service],
    squatter: Service,
    name: str,
    *,
    data: bytes | None,
    forged: bool,
) -> None:
    """The request to register is answered 503; a member's own comes through before the next."""
    one, two = places
    image = one.put(f"{name}private", SECRET, visibility="private")
    properties = marks(one, image, image) if forged else {}

    def squat() -> None:
        squatter.put(f"{name}mine", data, id=image, **properties)

    with Proxy(two.url) as proxy:
        proxy.fault(Fault("POST", "images$", times=1, answer=503, before=squat))
        done = user.meltemi(
            *("livecopy", "admin:RegionOne", proxy.url, "--match", f"name={name}*"),
            *("--targettoken", accounts.token("admin"), "-f", "json"),
            code=1,
        )
    assert [(row["ID"], row["Result"]) for row in done.rows] == [(image, "skipped")]
    found = squatter.show(image)
    assert (found["name"], found["owner"]) == (f"{name}mine", accounts.add("squatter"))
    assert found["status"] == ("queued" if data is None else "active")
    assert {k: v for k, v in found.items() if k.startswith("meltemi_")} == properties
    # The next run sees that the id is taken, and says so.
    [row] = user.rows(
        *("livecopy", "admin:RegionOne", "admin:RegionTwo", "--match", f"name={name}*"), code=1
    )
    assert row["Result"] == "conflict"
    assert squatter.show(image) == found


def test_an_id_that_is_taken_unseen_while_the_service_fails(
    user: User,
    accounts: Accounts,
    places: tuple[Service, Service],
    squatter: Service,
    name: str,
) -> None:
    """As the one above, but the replicator is no administrator: it never touches the other's."""
    one, two = places
    mine = one.seen_by(accounts.token("member", PROJECT))
    image = mine.put(f"{name}private", SECRET, visibility="private")

    def squat() -> None:
        squatter.put(f"{name}mine", None, id=image)

    with Proxy(two.url) as proxy:
        proxy.fault(Fault("POST", "images$", times=1, answer=503, before=squat))
        user.meltemi(
            *("livecopy", "member:RegionOne", proxy.url, "--match", f"name={name}*"),
            *("--targettoken", accounts.token("member", PROJECT)),
        )
    assert squatter.show(image)["status"] == "queued"
    [replica] = two.find(f"{name}private")
    assert two.data(replica["id"]) == SECRET
    with pytest.raises(RefusedError):
        squatter.data(replica["id"])
