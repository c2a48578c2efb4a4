"""Borrowing with Keystone: by whose right, in whose name, and an image's line across regions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Cloud, Region
from tests.region.borrowing import CHILD, GRANDCHILD, PARENT, Pair, peers
from tests.support.accounts import Accounts
from tests.support.builds import KIB, MIB
from tests.support.cli import meltemi
from tests.support.glance import Place, RefusedError
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.services

ALICE, BOB = "borrowing-alice", "borrowing-bob"
HOME, HERE = "BorrowingOne", "BorrowingTwo"


def keystone(cloud: Cloud, user: str = "") -> dict[str, Any]:
    """Give the setting of a region with an account, by default that of an administrator."""
    return {"keystone": {"auth": cloud.keystone.login(user)}}


@pytest.fixture(scope="module")
def regions(
    cloud: Cloud, accounts: Accounts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Give the regions as an administrator of the one, and as Alice in the other."""
    accounts.add(ALICE)
    accounts.add(BOB)
    settings = keystone(cloud)
    with Region(tmp_path_factory.mktemp("home"), settings=settings) as home, Proxy(home.url) as way:
        named = {"peers": [{"name": HOME, "endpoint": way.url}]}
        folder = tmp_path_factory.mktemp("here")
        with Region(folder, settings={**settings, **named}) as here:
            for name, server in ((HOME, home), (HERE, here)):
                cloud.keystone.endpoint("image", name, server.url)
            admin = cloud.keystone.token(cloud.keystone.admin, cloud.keystone.password, "admin")
            yield Pair(Place(home.url, token=admin), here, way, token=accounts.token(ALICE))


@pytest.fixture
def alice(regions: Pair, accounts: Accounts) -> Place:
    """Give the region that has parents, as Alice sees it."""
    regions.way.requests.clear()
    return regions.home.seen_by(accounts.token(ALICE))


def test_a_user_borrows_what_is_hers(regions: Pair, alice: Place) -> None:
    parent = alice.put("golden", PARENT)
    child = regions.snapshot(parent)
    [hold] = regions.holds(child)
    assert regions.home.show(hold)["owner"] != alice.show(parent)["owner"]
    assert not alice.has(hold)
    alice.delete(parent)
    assert regions.here.data(child) == CHILD


def test_nobody_borrows_what_is_another_s(regions: Pair, alice: Place, accounts: Accounts) -> None:
    """Not even where they know its id, and all of its data."""
    parent = alice.put("golden", PARENT)
    bob = regions.here.seen_by(accounts.token(BOB))
    image = bob.put("snapshot", GRANDCHILD, base_image_ref=parent)
    eventually(lambda: bool(regions.way.of("GET", f"{parent}/manifest$")))
    assert bob.data(image) == GRANDCHILD
    assert bob.call("GET", f"/v2/images/{image}/loan") == {"loan": None}
    assert not regions.way.of("POST", "")
    with pytest.raises(RefusedError, match="404"):
        regions.here.call("GET", f"/v2/images/{image}/loan")


def test_the_line_of_an_image_crosses_regions(
    regions: Pair, alice: Place, accounts: Accounts
) -> None:
    accounts.change(ALICE, regions=[HOME, HERE])
    parent = alice.put("golden", PARENT)
    child = regions.snapshot(parent)
    words = ("image", "ancestry", child, "-f", "json", "--library", f"{ALICE}:{HERE}")
    env = accounts.variables()
    rows = meltemi(*words, code=0, env=env).rows
    assert [row["ID"] for row in rows] == [child, parent]
    assert [row["Library"] for row in rows] == [f"{ALICE}:{HERE}", f"{ALICE}:{HOME}"]
    assert {row["Bytes"] for row in rows} == {24 * MIB}
    own = [row["Own"] for row in rows]
    assert 100 * KIB < own[0] < 900 * KIB < 3 * MIB < own[1] < 9 * MIB
    alice.delete(parent)
    done = meltemi(*words, code=0, env=env)
    assert [row["Own"] for row in done.rows] == own[:1]
    done.about("its parent", parent, "404")


def test_without_a_cloud_the_line_ends_with_the_region(pair: Pair) -> None:
    child = pair.snapshot(pair.home.put("golden", PARENT))
    words = ("image", "ancestry", child, "-f", "json")
    done = meltemi(*words, "--library", pair.here.url, code=0)
    [row] = json.loads(done.out)
    assert row["Own"] < 900 * KIB
    done.about("its parent is in RegionOne", "name the library by its cloud")


def test_an_account_that_is_no_administrator(
    cloud: Cloud, regions: Pair, alice: Place, accounts: Accounts, tmp_path: Path
) -> None:
    parent = alice.put("golden", PARENT)
    cloud.keystone.user(BOB, cloud.keystone.password, "service", ["service"])
    settings = {**keystone(cloud, BOB), **peers(regions.way)}
    with Region(tmp_path / "weak", settings=settings) as server:
        weak = Place(server.url, token=accounts.token(ALICE))
        image = weak.put("snapshot", CHILD, base_image_ref=parent)
        log = tmp_path / "weak" / "region.log"
        eventually(lambda: "has not the role admin" in log.read_text())
        assert weak.data(image) == CHILD
    assert not regions.holds(image)
