"""Copies that the target fetches from the source itself, as the user who orders them sees it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import Cloud, Region
from tests.support.accounts import Accounts
from tests.support.builds import KIB, MIB, disk
from tests.support.cli import User
from tests.support.glance import Place, some_data
from tests.support.proxy import Fault, Proxy

pytestmark = pytest.mark.services

GOLDEN = disk(range(60), 32)
BUILD = disk([*range(20), *range(100, 106), *range(22, 60)], 32)

Ways = tuple[Proxy, Proxy]


@pytest.fixture(scope="module")
def regions(
    cloud: Cloud, accounts: Accounts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ways]:
    """Give two regions of one cloud as the catalogue has them: counted on the way."""
    keystone = cloud.keystone
    auth = {
        "auth_url": keystone.url,
        "username": keystone.service_user,
        "password": keystone.password,
        "user_domain_id": "default",
        "project_name": "service",
        "project_domain_id": "default",
    }
    settings = {"keystone": {"auth": auth}, "import_methods": ["glance-download"]}
    with ExitStack() as stack:
        ways = []
        for name in ("Naxos", "Paros"):
            folder = tmp_path_factory.mktemp(name)
            server = stack.enter_context(Region(folder, name=name, settings=settings))
            ways.append(stack.enter_context(Proxy(server.url)))
            keystone.endpoint("image", name, ways[-1].url)
        account = {**auth, "username": keystone.admin, "project_name": "admin"}
        accounts.entry("islands", {"auth": account, "regions": ["Naxos", "Paros"]})
        yield ways[0], ways[1]


@pytest.fixture
def ways(regions: Ways) -> Ways:
    for way in regions:
        way.fault()
        way.requests.clear()
    return regions


@pytest.fixture
def naxos(ways: Ways, accounts: Accounts) -> Place:
    return Place(ways[0].upstream, token=accounts.token("admin"))


@pytest.fixture
def paros(ways: Ways, accounts: Accounts) -> Place:
    return Place(ways[1].upstream, token=accounts.token("admin"))


def words(name: str, *more: str) -> tuple[str, ...]:
    return ("livecopy", "islands:Naxos", "islands:Paros", "--match", f"name={name}*", *more)


def sent(way: Proxy) -> int:
    """Give the bytes of all bodies that were sent to a region."""
    return sum(request.sent for request in way.requests)


def answered(way: Proxy) -> int:
    return sum(request.answered for request in way.requests)


def test_no_data_passes_through_who_orders_the_copy(
    user: User, ways: Ways, naxos: Place, paros: Place
) -> None:
    noise = some_data(80, 6 * MIB)
    properties = {"os_distro": "debian", "hw_disk_bus": "scsi", "os_version": "12"}
    image = naxos.put("whole", noise, visibility="public", protected=True, tags=["a"], **properties)
    more = ("--pull", "--dontreplicate", "hw_disk_bus", "--map-value", "os_distro:debian=other")
    [planned] = user.rows(*words("whole", *more, "--dry-run"))
    assert planned["Reason"].endswith("; islands:Paros pulls it")
    for way in ways:
        way.requests.clear()
    [row] = user.rows(*words("whole", *more))
    assert (row["Result"], row["Bytes"]) == ("done", len(noise))
    assert sent(ways[1]) < 64 * KIB
    assert answered(ways[0]) < len(noise) + 64 * KIB, "it was read once, by the target"
    assert ways[0].of("POST", f"{image}/batch$")
    there = paros.show(image)
    assert (there["visibility"], there["protected"], there["tags"]) == ("public", True, ["a"])
    assert (there["os_distro"], there["os_version"]) == ("other", "12")
    assert "hw_disk_bus" not in there
    assert paros.data(image) == noise
    assert user.meltemi(*words("whole", *more)).idle


def configured(folder: Path, name: str) -> Path:
    """Write a configuration whose one route pulls the images that are called so."""
    libraries = {name: {"cloud": "islands", "region": name} for name in ("Naxos", "Paros")}
    route = {"from": "Naxos", "to": "Paros", "match": {"name": f"{name}*"}, "pull": True}
    config = folder / "meltemi.yaml"
    config.write_text(
        json.dumps({"version": 1, "libraries": libraries, "routes": {"route": route}})
    )
    return config


def test_what_the_target_has_does_not_cross_the_wire(
    user: User, ways: Ways, naxos: Place, paros: Place, tmp_path: Path
) -> None:
    naxos.put("linux 1", GOLDEN)
    user.meltemi(*words("linux"))
    build = naxos.put("linux 2", BUILD)
    saved = tmp_path / "saved"
    [planned] = user.rows("plan", configured(tmp_path, "linux"), "--out", saved)
    assert "by pieces, at most" in planned["Reason"]
    assert planned["Reason"].endswith("; Paros pulls it")
    for way in ways:
        way.requests.clear()
    [done] = user.rows("apply", saved)
    assert done["Wire"] <= planned["Wire"] < 1200 * KIB
    assert sent(ways[1]) < 64 * KIB
    assert answered(ways[0]) < 1200 * KIB
    assert paros.data(build) == BUILD


def test_a_base_that_is_gone_is_done_without(
    user: User, ways: Ways, naxos: Place, paros: Place, tmp_path: Path
) -> None:
    data = some_data(81, 2 * MIB)
    base = naxos.put("gone 1", data + bytes(MIB))
    user.meltemi(*words("gone"))
    image = naxos.put("gone 2", data + some_data(85, MIB))
    saved = tmp_path / "saved"
    [planned] = user.rows("plan", configured(tmp_path, "gone"), "--out", saved)
    assert planned["Wire"] < 2 * MIB
    paros.delete(base)
    [done] = user.rows("apply", saved)
    assert (done["Result"], "through here" in done["Detail"]) == ("done", False)
    assert len(ways[1].of("POST", f"{image}/import$")) == 2
    assert paros.data(image) == data + some_data(85, MIB)


def test_where_the_target_cannot_it_is_said_and_goes_as_before(
    user: User, ways: Ways, naxos: Place, paros: Place
) -> None:
    one, two = (some_data(seed, 6 * MIB) for seed in (82, 83))
    image = naxos.put("through 1", one)
    ways[1].fault(Fault("POST", "/import$", answer=403))
    [row] = user.rows(*words("through", "--pull"))
    assert row["Result"] == "done"
    assert "through here: islands:Paros: pulling image" in row["Detail"]
    assert paros.data(image) == one

    naxos.put("through 2", two)
    told = json.dumps({"import-methods": {"value": ["glance-direct"]}})
    ways[1].fault(Fault("GET", "/info/import$", answer=200, body=told))
    [row] = user.rows(*words("through", "--pull", "--dry-run"))
    assert row["Reason"].endswith("through here: islands:Paros has no import glance-download")

    other = ("livecopy", naxos.url, "islands:Paros", "--match", "name=through 2*")
    token = {"MELTEMI_SOURCETOKEN": naxos.headers["X-Auth-Token"]}
    [row] = user.rows(*other, "--pull", "--dry-run", env=token)
    assert row["Reason"].endswith(f"and {naxos.url} are no regions of one cloud")


def test_an_import_that_fails(user: User, ways: Ways, naxos: Place, paros: Place) -> None:
    """What had come by then is not sent again."""
    noise = some_data(84, 6 * MIB) + bytes(6 * MIB)
    image = naxos.put("broken", noise)
    facts = naxos.call("GET", "/v2/info/exchange")["exchange"]
    small = json.dumps({"exchange": {**facts, "largest_batch": MIB}})
    ways[0].fault(
        Fault("GET", "/info/exchange$", answer=200, body=small),
        Fault("POST", "/batch$", times=4),
        Fault("POST", "/batch$", times=1, answer=403),
    )
    [row] = user.rows(*words("broken", "--pull"))
    assert row["Result"] == "done"
    assert "through here: " in row["Detail"]
    assert "403" in row["Detail"]
    assert sent(ways[1]) < 5 * MIB
    assert paros.data(image) == noise
