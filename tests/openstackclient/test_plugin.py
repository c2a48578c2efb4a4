"""`openstack image replica …` in the real client, against Keystone, Glances and a daemon."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import Cloud
from tests.support.accounts import Accounts
from tests.support.cli import PATIENCE, Done, environment
from tests.support.daemon import Daemon
from tests.support.glance import Service, some_data
from tests.support.waiting import eventually

pytestmark = pytest.mark.services

PROGRAM = Path(sys.executable).parent / "openstack"


@dataclass(frozen=True)
class Place:
    """A region whose images a daemon carries to another; `helen` owns some of them."""

    accounts: Accounts
    athens: Service
    helens: Service
    crete: Service
    daemon: Daemon

    def openstack(
        self,
        *words: str,
        code: int = 0,
        cloud: str = "helen",
        region: str = "RegionOne",
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run the client as somebody."""
        where = ["--os-cloud", cloud, "--os-region-name", region]
        run = subprocess.run(
            [str(PROGRAM), *where, "image", "replica", *words],
            env=environment({**self.accounts.variables(), **(env or {})}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        done = Done(run.returncode, run.stdout, run.stderr)
        assert done.code == code, done
        assert "Traceback" not in done.err, done.err
        return done

    def rows(self, *words: str, **how: Any) -> list[dict[str, Any]]:
        """Run a command that lists."""
        return self.openstack(*words, "-f", "json", **how).rows

    @property
    def known(self) -> dict[str, str]:
        """Give the variables of a user who knows where the daemon is."""
        return {"OS_IMAGE_REPLICATION_ENDPOINT": self.daemon.url}


@pytest.fixture(scope="module")
def place(
    cloud: Cloud, accounts: Accounts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("replicas")
    helen = accounts.add("helen")
    keystone = cloud.keystone
    auth = keystone.login(keystone.admin, "admin")
    (folder / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"lab": {"auth": auth}}}))
    configuration = {
        "version": 1,
        "daemon": {"keystone": {"auth": auth}},
        "libraries": {
            "Athens": {"cloud": "lab", "region": "RegionOne"},
            "Crete": {"cloud": "lab", "region": "RegionTwo"},
        },
        "routes": {
            "all": {
                "from": "Athens",
                "to": "Crete",
                "match": {"name": "carried*"},
                "owners": {"*": "*"},
                "schedule": "1s",
            },
            "chosen": {
                "from": "Athens",
                "to": "Crete",
                "match": {"name": "galley"},
                "owners": {"*": "*"},
                "schedule": "1s",
                "choose": {"projects": {helen: {}}},
            },
        },
    }
    athens = Service(cloud.regions["RegionOne"], cloud.postgres, token=accounts.token("admin"))
    crete = Service(cloud.regions["RegionTwo"], cloud.postgres, token=accounts.token("admin"))
    helens = athens.seen_by(accounts.token("helen"))
    with Daemon(folder, configuration) as daemon:
        yield Place(accounts, athens, helens, crete, daemon)


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Give the regions and the statuses."""
    return [(row["Region"], row["Status"]) for row in rows]


def test_owners_choose_and_withdraw(place: Place) -> None:
    image = place.helens.put("ship", some_data(1))
    place.openstack("set", "ship", "--region", "crete", "--region", "Sparta")
    assert place.helens.show(image)["meltemi_regions"] == "crete,Sparta"
    place.openstack("set", image, "--region", "CRETE", "--region", "Naxos")
    assert place.helens.show(image)["meltemi_regions"] == "crete,Sparta,Naxos"
    place.openstack("unset", image, "--region", "sparta", "--region", "Ios")
    assert place.helens.show(image)["meltemi_regions"] == "crete,Naxos"
    place.openstack("unset", image, "--all")
    assert "meltemi_regions" not in place.helens.show(image)
    place.openstack("unset", image, "--all")
    wrong = place.openstack("set", image, "--region", "a,b", code=2)
    assert "'a,b' is no name of a region" in wrong.err
    place.helens.delete(image)


def test_nobody_chooses_for_others(place: Place) -> None:
    image = place.athens.put("theirs", some_data(2), visibility="public")
    assert "403" in place.openstack("set", image, "--region", "crete", code=1).err
    assert "No Image found" in place.openstack("set", "none", "--region", "crete", code=1).err
    place.athens.delete(image)


def test_without_a_daemon_the_image_says_what_became_of_it(place: Place) -> None:
    # No daemon answers owners here.
    ask = partial(place.openstack, region="RegionTwo")
    rows = partial(place.rows, region="RegionTwo")
    answer = "crete: ready; Naxos: unknown region; Ios: failed, to be tried again; and 2 more"
    image = place.crete.put(
        "raft",
        some_data(3),
        owner=place.accounts.add("helen"),
        meltemi_regions="crete, Naxos, Ios, Delos, Samos",
        meltemi_status=answer,
    )
    expected = [
        ("Delos", "not answered yet"),
        ("Ios", "failed, to be tried again"),
        ("Naxos", "unknown region"),
        ("Samos", "not answered yet"),
        ("crete", "ready"),
    ]
    assert told(rows("list", "raft")) == expected
    everything = rows("list", "--all")
    assert told([row for row in everything if row["Image ID"] == image]) == expected
    shown = json.loads(ask("show", "raft", "Crete", "-f", "json").out)
    assert shown == {
        "image_id": image,
        "image_name": "raft",
        "region": "crete",
        "chosen": True,
        "status": "ready",
    }
    none = ask("show", "raft", "Chios", code=1)
    assert "is not in Chios, and nobody asks for it there" in none.err
    ask("wait", "raft", "--region", "Crete")
    refused = ask("wait", "raft", "--region", "crete", "--region", "naxos", code=3)
    assert "Naxos unknown region" in refused.err
    late = ask("wait", "raft", "--region", "Ios", "--timeout", "0s", code=1)
    assert "not ready after 0s: Ios failed, to be tried again" in late.err
    place.crete.delete(image)


def test_a_daemon_is_asked_as_the_user(place: Place) -> None:
    image = place.helens.put("carried", some_data(4))
    other = place.athens.put("carried too", some_data(5), visibility="public")
    place.openstack("wait", image, "--region", "crete", env=place.known)
    place.openstack("wait", other, "--region", "Crete", cloud="admin", env=place.known)
    [row] = place.rows("list", "carried", env=place.known)
    assert (row["Image ID"], row["Region"], row["Status"]) == (image, "Crete", "ready")
    assert row["Since"].endswith("Z")
    shown = json.loads(
        place.openstack("show", "carried", "crete", "-f", "json", env=place.known).out
    )
    assert (shown["chosen"], shown["route"], shown["size"]) == (False, "all", len(some_data(4)))
    # What others' images become is not hers to see, also where she may use them.
    assert place.rows("list", other, env=place.known) == []
    assert [row["Image ID"] for row in place.rows("list", "--all", env=place.known)] == [image]
    seen = place.rows("list", "--all", cloud="admin", env=place.known)
    assert {row["Image ID"] for row in seen} == {image, other}
    place.helens.delete(image)
    place.athens.delete(other)


def test_the_catalog_says_where_the_daemon_is(place: Place, cloud: Cloud) -> None:
    image = place.helens.put("carried by the catalog", some_data(6))
    cloud.keystone.endpoint("image-replication", "RegionOne", place.daemon.url)
    try:
        place.openstack("wait", image, "--region", "Crete")
    finally:
        cloud.keystone.withdraw("image-replication")
    place.helens.delete(image)


def test_a_daemon_that_is_away_or_none(place: Place) -> None:
    image = place.helens.put("adrift", some_data(7))
    nowhere = {"OS_IMAGE_REPLICATION_ENDPOINT": "http://127.0.0.1:9"}
    away = place.openstack("list", image, code=1, env=nowhere)
    assert away.err == "http://127.0.0.1:9: no daemon answers: Connection refused\n"
    other = {"OS_IMAGE_REPLICATION_ENDPOINT": f"{place.athens.url}/v2/images/{image}?"}
    assert "no daemon of Meltemi" in place.openstack("list", image, code=1, env=other).err
    place.helens.delete(image)


def test_what_owners_choose_is_done(place: Place) -> None:
    image = place.helens.put("galley", some_data(8))
    place.openstack("set", image, "--region", "crete", "--region", "mars")
    place.openstack("wait", image, "--region", "crete", env=place.known)
    place.openstack("wait", image, "--region", "crete")
    refused = place.openstack("wait", image, "--region", "mars", code=3)
    assert "mars unknown region" in refused.err
    assert told(place.rows("list", image, env=place.known)) == [
        ("Crete", "ready"),
        ("mars", "unknown region"),
    ]
    place.openstack("unset", image, "--all")
    eventually(lambda: not place.crete.has(image))
    place.helens.delete(image)
