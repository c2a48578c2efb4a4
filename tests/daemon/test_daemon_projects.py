"""Owners choose regions of a real cloud: two projects, and a Glance that protects properties."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from lab import Cloud, Glance
from tests.support.accounts import Accounts
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
    auth = {
        "auth_url": cloud.keystone.url,
        "username": cloud.keystone.admin,
        "password": cloud.keystone.password,
        "project_name": "admin",
        "user_domain_id": "default",
        "project_domain_id": "default",
    }
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"lab": {"auth": auth}}}))
    configuration = {
        "version": 1,
        "libraries": {
            name: {"cloud": "lab", "region": name} for name in ("Athens", "RegionOne", "RegionTwo")
        },
        "routes": {
            "chosen": {
                "from": "Athens",
                "to": ["RegionOne", "RegionTwo"],
                "owners": {"*": "*"},
                "schedule": "1s",
                "choose": {
                    "projects": {
                        projects["olive"]: {},
                        projects["plane"]: {"regions": "RegionOne"},
                    }
                },
            }
        },
    }
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
