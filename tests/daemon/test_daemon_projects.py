"""Owners choose regions of a real cloud: two projects, and a Glance that protects properties."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from cryptography.fernet import Fernet

from lab import Cloud, Glance
from meltemi.daemon.state.records import Cause, Locked, Request
from meltemi.daemon.vault import Vault
from meltemi.model.credential import Credential
from tests.support.accounts import Accounts
from tests.support.cli import meltemi
from tests.support.daemon import Daemon
from tests.support.glance import RefusedError, Service, some_data
from tests.support.waiting import eventually

PAGE: Final = Path(__file__).parents[2] / "docs" / "owners.md"


@pytest.fixture(scope="module")
def athens(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a Glance with the property protections of the documentation."""
    [sample] = re.findall(
        r"^```ini\n(\[\^meltemi_regions.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    folder = tmp_path_factory.mktemp("athens")
    (folder / "protections.conf").write_text(sample)
    server = Glance(
        folder / "glance",
        name="athens",
        postgres=cloud.postgres,
        keystone=cloud.keystone,
        region="Athens",
        config={"DEFAULT": {"property_protection_file": str(folder / "protections.conf")}},
    )
    try:
        yield Service(server.start(), cloud.postgres)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def projects(accounts: Accounts) -> dict[str, str]:
    """Give the ids of two projects, whose members have the same names."""
    return {name: accounts.add(name) for name in ("olive", "plane")}


def configured(
    cloud: Cloud, folder: Path, targets: dict[str, dict[str, str]], **route: Any
) -> dict[str, Any]:
    """Let owners choose from targets: regions where an administrator is known, unless said else."""
    keystone = cloud.keystone
    auth = {
        "auth_url": keystone.url,
        "username": keystone.admin,
        "password": keystone.password,
        "project_name": "admin",
        "user_domain_id": "default",
        "project_domain_id": "default",
    }
    clouds = {"lab": {"auth": auth}, "nobody": {"auth": {"auth_url": keystone.url}}}
    (folder / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    libraries = {
        name: {"cloud": "lab", "region": name, **said}
        for name, said in {"Athens": {}, **targets}.items()
    }
    chosen = {"from": "Athens", "to": list(targets), "schedule": "1s", **route}
    return {"version": 1, "libraries": libraries, "routes": {"chosen": chosen}}


def refused(status: int) -> Any:
    """Expect Glance's refusal."""
    return pytest.raises(RefusedError, match=rf"^{status}:")


def test_members_choose_for_their_own_images_and_cannot_forge(
    cloud: Cloud,
    accounts: Accounts,
    athens: Service,
    projects: dict[str, str],
    tmp_path: Path,
) -> None:
    mine, theirs = (athens.seen_by(accounts.token(name)) for name in ("olive", "plane"))
    admin = athens.seen_by(accounts.token("admin"))
    one, two = (
        Service(cloud.regions[region], cloud.postgres, token=accounts.token("admin"))
        for region in ("RegionOne", "RegionTwo")
    )
    image = mine.put("mine", some_data(1), meltemi_regions="RegionOne, regiontwo, mars")
    shared = mine.put("shared", some_data(2), visibility="shared")
    mine.share(shared, projects["plane"])
    theirs.call("PUT", f"/v2/images/{shared}/members/{projects['plane']}", {"status": "accepted"})
    forbidden = theirs.put("theirs", some_data(3), meltemi_regions="RegionTwo,RegionOne")
    # Whom an image is shared with, or shown to, cannot choose for it.
    with refused(403):
        theirs.change(shared, meltemi_regions="RegionOne")
    with refused(404):
        theirs.change(image, meltemi_regions="RegionOne")
    # Nobody but the daemon answers, also not by a snapshot that inherits an answer.
    for place, name in ((mine, image), (theirs, forbidden)):
        with refused(403):
            place.change(name, meltemi_status="RegionOne: ready")
    with refused(403):
        mine.put("snapshot", None, meltemi_status="RegionOne: ready")
    choose = {"projects": {projects["olive"]: {}, projects["plane"]: {"regions": "RegionOne"}}}
    configuration = configured(
        cloud, tmp_path, {"RegionOne": {}, "RegionTwo": {}}, owners={"*": "*"}, choose=choose
    )
    with Daemon(tmp_path, configuration):
        ready = "RegionOne: ready; regiontwo: ready; mars: unknown region"
        eventually(lambda: bool(mine.show(image).get("meltemi_status") == ready))
        answer = "RegionOne: ready; RegionTwo: not allowed"
        eventually(lambda: bool(theirs.show(forbidden).get("meltemi_status") == answer))
        # What is theirs there is theirs here.
        seen = one.seen_by(accounts.token("olive"))
        assert seen.data(image) == some_data(1)
        assert one.show(image)["owner"] == projects["olive"]
        with refused(404):
            seen.show(forbidden)
        assert not two.has(forbidden)
        assert not one.has(shared)
        mine.change(image, remove=("meltemi_regions",))
        eventually(lambda: not one.has(image) and not two.has(image))
        eventually(lambda: "meltemi_status" not in admin.show(image))
        assert one.has(forbidden)
        mine.delete(image)
        theirs.delete(forbidden)
        eventually(lambda: not one.has(forbidden))


def test_a_target_that_only_owners_have_accounts_on(
    cloud: Cloud,
    accounts: Accounts,
    athens: Service,
    projects: dict[str, str],
    tmp_path: Path,
) -> None:
    mine, theirs = (athens.seen_by(accounts.token(name)) for name in ("olive", "plane"))
    mars = Service(cloud.regions["RegionTwo"], cloud.postgres, token=accounts.token("admin"))
    image = mine.put("mine", some_data(4), visibility="community", meltemi_regions="mars")
    other = theirs.put("theirs", some_data(5), meltemi_regions="mars")
    given = configured(
        cloud,
        tmp_path,
        {"mars": {"cloud": "nobody", "region": "RegionTwo", "account": "owner"}},
        owners={"*": "*"},
        choose={"projects": {"*": {}}},
    )
    keys = tmp_path / "keys"
    keys.write_bytes(Fernet.generate_key())
    keys.chmod(0o600)
    given["daemon"] = {"keys": "keys"}
    keystone = cloud.keystone
    made = keystone.application_credential("olive", keystone.password, "olive", "meltemi")

    def leave(project: str, credential: Credential) -> None:
        locked = Vault(keys).lock(projects[project], "mars", credential)
        row = Locked(projects[project], "mars", locked, time.time(), project)
        request = Request(Cause.REQUEST, time.time(), library="mars")
        daemon.ask(lambda state: state.credentials.put(row, request))

    with Daemon(tmp_path, given) as daemon:
        for place, name in ((mine, image), (theirs, other)):
            answer = "mars: needs a credential of yours"
            eventually(lambda: bool(place.show(name).get("meltemi_status") == answer))  # noqa: B023 - called at once
        leave("olive", Credential(*made))
        leave("plane", Credential(made[0], "another secret"))
        eventually(lambda: bool(mine.show(image).get("meltemi_status") == "mars: ready"))
        answer = "mars: your credential is refused there"
        eventually(lambda: bool(theirs.show(other).get("meltemi_status") == answer))
        replica = mars.show(image)
        assert (replica["owner"], replica["visibility"]) == (projects["olive"], "private")
        assert mars.seen_by(accounts.token("olive")).data(image) == some_data(4)
        assert not mars.has(other)
        # The trouble of one is not that of the other.
        second = mine.put("second", some_data(6), meltemi_regions="mars")
        eventually(lambda: bool(mine.show(second).get("meltemi_status") == "mars: ready"))
        mine.change(image, remove=("meltemi_regions",))
        eventually(lambda: not mars.has(image))
        mine.delete(second)
        eventually(lambda: not mars.has(second))
        theirs.delete(other)
        mine.delete(image)
    for file in (daemon.log, *tmp_path.glob("*.sqlite*")):
        assert made[1].encode() not in file.read_bytes()
    refused_ = meltemi("sync", daemon.file, "--dry-run", cwd=tmp_path, code=2)
    assert "mars is reached with the accounts of images' owners" in refused_.complaint
