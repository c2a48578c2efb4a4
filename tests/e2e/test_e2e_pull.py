"""Copies that the target fetches from the source itself, as the user who orders them sees it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lab import Cloud
from tests.e2e.islands import BATCH, Islands, words
from tests.support.accounts import Accounts
from tests.support.builds import BUILD, GOLDEN, KIB, MIB
from tests.support.cli import User
from tests.support.daemon import Daemon
from tests.support.glance import some_data
from tests.support.proxy import FILE, Fault
from tests.support.services import Fresh
from tests.support.waiting import eventually

pytestmark = pytest.mark.services


def test_no_data_passes_through_who_orders_the_copy(user: User, islands: Islands) -> None:
    noise = some_data(80, 6 * MIB)
    properties = {"os_distro": "debian", "hw_disk_bus": "scsi", "os_version": "12"}
    image = islands.naxos.put(
        "whole", noise, visibility="public", protected=True, tags=["a"], **properties
    )
    more = ("--pull", "--dontreplicate", "hw_disk_bus", "--map-value", "os_distro:debian=other")
    [planned] = user.rows(*words("whole", *more, "--dry-run"))
    assert planned["Reason"].endswith("; islands:Paros pulls it")
    islands.forget()
    [row] = user.rows(*words("whole", *more))
    assert (row["Result"], row["Bytes"]) == ("done", len(noise))
    assert islands.sent < 64 * KIB
    assert islands.answered < len(noise) + 64 * KIB, "it was read once, by the target"
    assert islands.ways[0].of("POST", f"{image}/batch$")
    there = islands.paros.show(image)
    assert (there["visibility"], there["protected"], there["tags"]) == ("public", True, ["a"])
    assert (there["os_distro"], there["os_version"]) == ("other", "12")
    assert "hw_disk_bus" not in there
    assert islands.paros.data(image) == noise
    assert user.meltemi(*words("whole", *more)).idle


def configuration(name: str) -> Mapping[str, Any]:
    """Give a configuration whose one route pulls the images that are called so."""
    libraries = {name: {"cloud": "islands", "region": name} for name in ("Naxos", "Paros")}
    route = {"from": "Naxos", "to": "Paros", "match": {"name": f"{name}*"}, "pull": True}
    return {"version": 1, "libraries": libraries, "routes": {"route": route}}


def configured(folder: Path, name: str) -> Path:
    config = folder / "meltemi.yaml"
    config.write_text(json.dumps(configuration(name)))
    return config


def test_a_daemon_lets_targets_fetch(islands: Islands, accounts: Accounts, tmp_path: Path) -> None:
    shutil.copy(accounts.variables()["OS_CLIENT_CONFIG_FILE"], tmp_path / "clouds.yaml")
    data = some_data(88, 3 * MIB)
    image = islands.naxos.put("daily", data)
    islands.forget()
    with Daemon(tmp_path, configuration("daily")) as daemon:
        eventually(lambda: daemon.statuses("Paros").get("daily") == "ready")
    assert islands.sent < 64 * KIB
    assert islands.ways[1].of("POST", f"{image}/import$")
    assert islands.paros.data(image) == data


def test_what_the_target_has_does_not_cross_the_wire(
    user: User, islands: Islands, tmp_path: Path
) -> None:
    islands.naxos.put("linux 1", GOLDEN)
    user.meltemi(*words("linux"))
    build = islands.naxos.put("linux 2", BUILD)
    saved = tmp_path / "saved"
    [planned] = user.rows("plan", configured(tmp_path, "linux"), "--out", saved)
    assert "by pieces, at most" in planned["Reason"]
    assert planned["Reason"].endswith("; Paros pulls it")
    islands.forget()
    [done] = user.rows("apply", saved)
    assert done["Wire"] <= planned["Wire"] < 1200 * KIB
    assert islands.sent < 64 * KIB
    assert islands.answered < 1200 * KIB
    assert islands.paros.data(build) == BUILD


def test_a_base_that_is_gone_is_done_without(user: User, islands: Islands, tmp_path: Path) -> None:
    data = some_data(81, 2 * MIB)
    base = islands.naxos.put("gone 1", data + bytes(MIB))
    user.meltemi(*words("gone"))
    image = islands.naxos.put("gone 2", data + some_data(85, MIB))
    saved = tmp_path / "saved"
    [planned] = user.rows("plan", configured(tmp_path, "gone"), "--out", saved)
    assert planned["Wire"] < 2 * MIB
    islands.paros.delete(base)
    [done] = user.rows("apply", saved)
    assert (done["Result"], "through here" in done["Detail"]) == ("done", False)
    assert len(islands.ways[1].of("POST", f"{image}/import$")) == 2
    assert islands.paros.data(image) == data + some_data(85, MIB)


def test_where_the_target_cannot_it_is_said_and_goes_as_before(
    user: User, islands: Islands
) -> None:
    one, two = (some_data(seed, 6 * MIB) for seed in (82, 83))
    image = islands.naxos.put("through 1", one)
    islands.ways[1].fault(Fault("POST", "/import$", answer=403))
    [row] = user.rows(*words("through", "--pull"))
    assert row["Result"] == "done"
    assert "through here: islands:Paros: pulling image" in row["Detail"]
    assert islands.paros.data(image) == one

    islands.naxos.put("through 2", two)
    told = json.dumps({"import-methods": {"value": ["glance-direct"]}})
    islands.ways[1].fault(Fault("GET", "/info/import$", answer=200, body=told))
    [row] = user.rows(*words("through", "--pull", "--dry-run"))
    assert row["Reason"].endswith("through here: islands:Paros has no import glance-download")

    other = ("livecopy", islands.naxos.url, "islands:Paros", "--match", "name=through 2*")
    token = {"MELTEMI_SOURCETOKEN": islands.naxos.headers["X-Auth-Token"]}
    [row] = user.rows(*other, "--pull", "--dry-run", env=token)
    assert row["Reason"].endswith(f"and {islands.naxos.url} are no regions of one cloud")


def test_a_glance_fetches_the_whole(
    user: User, islands: Islands, cloud: Cloud, accounts: Accounts, fresh: Fresh
) -> None:
    address = urlsplit(islands.ways[0].url)
    config = {
        "DEFAULT": {"enabled_import_methods": "[glance-download]"},
        "import_filtering_opts": {
            "allowed_hosts": f"[{address.hostname}]",
            "allowed_ports": f"[{address.port}]",
        },
    }
    admin = accounts.token("admin")
    glance = fresh("samos", keystone=cloud.keystone, region="Samos", config=config)
    accounts.change("islands", regions=["Naxos", "Paros", "Samos"])
    data = some_data(87, 3 * MIB)
    image = islands.naxos.put("stock", data, visibility="public", os_distro="debian")
    islands.forget()
    copy = ("livecopy", "islands:Naxos", "islands:Samos", "--match", "name=stock*", "--pull")
    [row] = user.rows(*copy, "--map-value", "os_distro:debian=other")
    assert (row["Result"], "through here" in row["Detail"]) == ("done", False)
    assert len(islands.ways[0].of("GET", FILE)) == 1
    samos = glance.seen_by(admin)
    there = samos.show(image)
    assert (there["visibility"], there["os_distro"]) == ("public", "other")
    assert samos.data(image) == data


def test_an_import_that_fails(user: User, islands: Islands) -> None:
    """It is asked for again, once; what had come by then is not sent again."""
    once, twice = (some_data(seed, 6 * MIB) + bytes(6 * MIB) for seed in (84, 86))

    def refuse_one() -> None:
        refused = Fault("POST", BATCH, times=1, answer=403)
        islands.small_batches(Fault("POST", BATCH, times=4), refused)

    refuse_one()
    image = islands.naxos.put("broken 1", once)
    [row] = user.rows(*words("broken", "--pull"))
    assert (row["Result"], "through here" in row["Detail"]) == ("done", False)
    assert len(islands.ways[1].of("POST", f"{image}/import$")) == 2
    assert islands.sent < 64 * KIB
    assert islands.paros.data(image) == once

    image = islands.naxos.put("broken 2", twice)
    refuse_one()
    islands.ways[1].fault(Fault("POST", "/import$", times=1), Fault("POST", "/import$", answer=403))
    [row] = user.rows(*words("broken", "--pull"))
    assert row["Result"] == "done"
    assert "through here: " in row["Detail"]
    assert islands.sent < 5 * MIB
    assert islands.paros.data(image) == twice
