"""A region in front of a Glance with Keystone: whose images they are, and who may do what."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Cloud
from lab.cloud import MEMBER, PROJECT
from tests.region.adopting import Adopting, data_of, seen
from tests.support.cli import meltemi
from tests.support.glance import Place, RefusedError, Service, some_data
from tests.support.waiting import eventually

pytestmark = pytest.mark.services

OTHER = "calypso"


@pytest.fixture(scope="module")
def glance(cloud: Cloud) -> Service:
    """Give the Glance, as an administrator sees it, emptied."""
    keystone = cloud.keystone
    token = keystone.token(keystone.admin, keystone.password, "admin")
    place = Service(cloud.regions["RegionTwo"], cloud.postgres, token=token)
    place.wipe()
    return place


@pytest.fixture
def region(cloud: Cloud, glance: Service, tmp_path: Path) -> Iterator[Adopting]:
    """Give a region that is to adopt it; nothing is begun yet."""
    glance.wipe()
    cloud.keystone.user(OTHER, cloud.keystone.password, OTHER)
    chosen = {"keystone": {"auth": cloud.keystone.login()}}
    server = Adopting(tmp_path / "region", glance.server.url, settings=chosen)
    yield server
    server.stop()


def as_user(cloud: Cloud, place: Place, user: str, project: str) -> Place:
    return place.seen_by(cloud.keystone.token(user, cloud.keystone.password, project))


def as_admin(cloud: Cloud, place: Place) -> Place:
    return as_user(cloud, place, cloud.keystone.admin, "admin")


def test_users_act_for_themselves(cloud: Cloud, glance: Service, region: Adopting) -> None:
    mine, others = cloud.keystone.project(PROJECT), cloud.keystone.project(OTHER)
    public = glance.put("public", some_data(1), visibility="public")
    private = glance.put("private", some_data(2), visibility="private", owner=mine)
    foreign = glance.put("foreign", some_data(3), visibility="private", owner=others)
    region.adopt("start")
    region.start()
    member = as_user(cloud, region.place, MEMBER, PROJECT)
    other = as_user(cloud, region.place, OTHER, OTHER)
    direct = as_user(cloud, glance, MEMBER, PROJECT)
    assert member.statuses() == {public: "active", private: "active"}
    assert other.statuses() == {public: "active", foreign: "active"}
    assert data_of(member) == {public: some_data(1), private: some_data(2)}
    made = member.put("made", some_data(4))
    assert glance.show(made)["owner"] == mine
    assert member.show(made)["owner"] == mine
    with pytest.raises(RefusedError, match="404"):
        other.show(made)
    member.share(made, others)
    assert other.show(made)["name"] == "made"
    other.call("PUT", f"/v2/images/{made}/members/{others}", {"status": "accepted"})
    assert made in other.statuses()
    assert glance.members(made) == {others: "accepted"}
    for refused in (
        lambda: other.change(public, name="stolen"),
        lambda: member.delete(public),
        lambda: member.put("loud", None, visibility="public"),
        lambda: member.act(foreign, "deactivate"),
    ):
        with pytest.raises(RefusedError, match=r"40[34]"):
            refused()
    with pytest.raises(RefusedError, match="401"):
        region.place.change(made, name="nobody")
    member.delete(private)
    region.wait_until_filled()
    before = seen(as_admin(cloud, region.place))
    assert before == seen(as_admin(cloud, glance))
    region.adopt("rollback")
    assert direct.statuses() == {public: "active", made: "active"}
    assert seen(as_admin(cloud, glance)) == before


def test_imports_and_definitions_are_the_glances(
    cloud: Cloud, glance: Service, region: Adopting
) -> None:
    region.adopt("start")
    region.start()
    member = as_user(cloud, region.place, MEMBER, PROJECT)
    direct = as_user(cloud, glance, MEMBER, PROJECT)
    staged = member.put("staged", None)
    octets = "application/octet-stream"
    member.request("PUT", f"/v2/images/{staged}/stage", some_data(7), octets)
    assert member.show(staged)["status"] == "uploading"
    refused_end = region.adopt("finish", code=3).err
    assert "1 images are not here" in refused_end
    assert f"image staged ({staged}): uploading" in refused_end
    member.call("POST", f"/v2/images/{staged}/import", {"method": {"name": "glance-direct"}})
    eventually(lambda: bool(member.show(staged)["status"] == "active"))
    eventually(lambda: "os_glance_import_task" not in member.show(staged))
    [task] = member.call("GET", f"/v2/images/{staged}/tasks")["tasks"]
    assert task["image_id"] == staged
    assert member.data(staged) == some_data(7)
    space = {"namespace": "of-users", "visibility": "public", "protected": False}
    as_admin(cloud, region.place).call("POST", "/v2/metadefs/namespaces", space)
    for place in (member, glance):
        path = "/v2/metadefs/namespaces/of-users"
        assert place.call("GET", path)["visibility"] == "public"
    as_admin(cloud, region.place).call("DELETE", "/v2/metadefs/namespaces/of-users")
    region.wait_until_filled()
    assert seen(member) == seen(direct)
    region.adopt("rollback")
    assert direct.data(staged) == some_data(7)


def test_the_openstack_client_and_the_end(
    cloud: Cloud, glance: Service, region: Adopting, tmp_path: Path
) -> None:
    image = glance.put("public", some_data(5), visibility="public")
    region.adopt("start")
    region.start()
    keystone = cloud.keystone
    keystone.endpoint("image", "RegionTwo", region.url)  # users are led to the region
    try:
        file = tmp_path / "data"
        file.write_bytes(some_data(6))
        made = cloud.openstack(
            *("image", "create", "--file", str(file), "--disk-format", "raw"),
            *("--property", "a=b", "-f", "value", "-c", "id", "made"),
            cloud="member",
            region="RegionTwo",
        ).strip()
        cloud.openstack(
            "image", "set", "--name", "renamed", made, cloud="member", region="RegionTwo"
        )
        assert glance.show(made)["name"] == "renamed"
        region.finish()
        cloud.regions["RegionTwo"].stop()
        saved = tmp_path / "saved"
        cloud.openstack(
            *("image", "save", "--file", str(saved), made), cloud="member", region="RegionTwo"
        )
        assert saved.read_bytes() == some_data(6)
        listed = cloud.openstack(
            *("image", "list", "-f", "value", "-c", "ID"), cloud="member", region="RegionTwo"
        )
        assert set(listed.split()) == {image, made}
    finally:
        keystone.endpoint("image", "RegionTwo", glance.server.url)
        cloud.regions["RegionTwo"].start()


def test_an_account_that_does_not_see_everything(cloud: Cloud, region: Adopting) -> None:
    text = region.config.read_text()
    assert cloud.keystone.service_user in text
    wrong = text.replace(f"username: {cloud.keystone.service_user}", f"username: {MEMBER}")
    region.config.write_text(wrong.replace("project_name: service", f"project_name: {PROJECT}"))
    told = meltemi("adopt", "start", "--config", region.config, code=5).complaint
    assert "has not the role admin" in told
    region.config.write_text(text)
    region.adopt("status", code=3)
