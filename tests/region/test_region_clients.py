"""OpenStack's own clients, and Meltemi's own replicator, against a region of a real cloud.

The region stands behind the cloud's Keystone, as the Image service of a region of its own beside
two that have a Glance.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from lab import Cloud, Region, venvs
from tests.support.accounts import Accounts
from tests.support.cli import PATIENCE, User, environment
from tests.support.glance import Place, some_data

pytestmark = pytest.mark.services

NAME: Final = "RegionThree"
DATA: Final = some_data(3, 3 * 2**20 + 1)
SHA512: Final = hashlib.sha512(DATA).hexdigest()

GLANCECLIENT: Final = """
import hashlib, io, json, sys
import openstack.config
from glanceclient import Client
from glanceclient.exc import HTTPConflict, HTTPForbidden, HTTPNotFound

def client(cloud):
    found = openstack.config.OpenStackConfig().get_one(cloud, region_name="RegionThree")
    return Client("2", session=found.get_session(), region_name="RegionThree", interface="public")

def refused(error, call, *words):
    try:
        call(*words)
    except error:
        return True
    return False

owner, other = client("owner"), client("other")
project, data = sys.argv[1], open(sys.argv[2], "rb").read()
image = owner.images.create(
    name="by glanceclient", disk_format="raw", container_format="bare", tags=["a"], os_distro="x"
)
owner.images.upload(image.id, io.BytesIO(data), len(data))
unseen = refused(HTTPNotFound, other.images.get, image.id)
again = refused(HTTPConflict, owner.images.upload, image.id, io.BytesIO(data))
owner.images.update(image.id, remove_props=["os_distro"], visibility="shared", hw_disk_bus="scsi")
owner.image_tags.update(image.id, "b")
owner.image_tags.delete(image.id, "a")
owner.image_members.create(image.id, project)
pending = [one.status for one in owner.image_members.list(image.id)]
not_theirs = refused(HTTPForbidden, owner.image_members.update, image.id, project, "accepted")
other.image_members.update(image.id, project, "accepted")
downloaded = other.images.data(image.id)
for number in range(3):
    owner.images.create(name=f"empty {number}", tags=["empty"])
empty = owner.images.list(filters={"tag": ["empty"]}, page_size=2, sort_key="name", sort_dir="asc")
empty = [(one.id, one.name, one.status) for one in empty]
shown = other.images.get(image.id)
print(json.dumps({
    "unseen": unseen,
    "again": again,
    "pending": pending,
    "not theirs": not_theirs,
    "downloaded": hashlib.sha512(b"".join(downloaded)).hexdigest(),
    "recorded": [shown.os_hash_algo, shown.os_hash_value, shown.size],
    "kept": [shown.tags, shown.hw_disk_bus, shown.get("os_distro")],
    "shared": [one.name for one in other.images.list(filters={"visibility": "shared"})],
    "by name": [one.name for one in owner.images.list(filters={"name": "by glanceclient"})],
    "empty": [rest for _, *rest in empty],
}))
for one, *_ in empty:
    owner.images.delete(one)
owner.images.delete(image.id)
assert refused(HTTPNotFound, owner.images.get, image.id)
"""

SDK: Final = """
import hashlib, json, sys
import openstack
from openstack.exceptions import NotFoundException

owner = openstack.connect("owner", region_name="RegionThree")
other = openstack.connect("other", region_name="RegionThree")
project, file = sys.argv[1:]
image = owner.create_image(
    "by the SDK", filename=file, disk_format="raw", container_format="bare", wait=True,
    validate_checksum=True, tags=["a"], meta={"os_distro": "x"},
)
same = owner.create_image(
    "by the SDK", filename=file, disk_format="raw", container_format="bare", wait=True,
    validate_checksum=True,
)
owner.image.update_image(image.id, visibility="shared", min_ram=64)
owner.image.add_tag(image.id, "b")
owner.image.remove_tag(image.id, "a")
owner.image.add_member(image.id, member_id=project)
other.image.update_member(project, image.id, status="accepted")
members = [one.status for one in owner.image.members(image.id)]
downloaded = other.image.download_image(image.id, stream=True)
digest = hashlib.sha512()
for piece in downloaded.iter_content(2**16):
    digest.update(piece)
with open(f"{file}.got", "wb") as output:
    owner.image.download_image(image.id, output=output)  # verifies the hash itself
owner.image.deactivate_image(image.id)
deactivated = owner.image.get_image(image.id).status
named = [one.name for one in owner.image.images(name="by the SDK")]
tagged = [one.id for one in owner.image.images(tag="b", status="deactivated", limit=1)]
owner.image.delete_image(image.id)
try:
    owner.image.get_image(image.id)
    gone = False
except NotFoundException:
    gone = True
print(json.dumps({
    "same": same.id == image.id,
    "members": members,
    "streamed": digest.hexdigest(),
    "deactivated": deactivated,
    "named": named,
    "tagged": tagged == [image.id],
    "gone": gone,
}))
"""


@pytest.fixture(scope="module")
def people(cloud: Cloud, accounts: Accounts) -> Accounts:
    """Give a clouds.yaml whose `owner`, `other` and `everywhere` know the third region."""
    for name, role in (("owner", "member"), ("other", "member"), ("everywhere", "admin")):
        accounts.add(name, role=role)
        accounts.change(name, regions=[*cloud.regions, NAME])
    return accounts


@pytest.fixture(scope="module")
def server(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """Give a region with two workers, which the cloud's catalogue leads to."""
    keystone = cloud.keystone
    auth = keystone.login()
    settings = {"workers": 2, "keystone": {"auth": auth}}
    with Region(tmp_path_factory.mktemp("region"), settings=settings) as server:
        keystone.endpoint("image", NAME, server.url)
        yield server


@pytest.fixture
def place(server: Region, people: Accounts) -> Place:
    """Give the region as an administrator sees it."""
    return Place(server.url, token=people.token("everywhere"))


class Clients:
    """Runs OpenStack's clients, each in a process of its own."""

    def __init__(self, people: Accounts, folder: Path) -> None:
        self._accounts = people
        self.folder = folder
        self.file = folder / "data.raw"
        self.file.write_bytes(DATA)

    def image(self, *words: str, cloud: str = "owner") -> Any:
        """Give what `openstack image` finds or makes."""
        return json.loads(self.openstack(*words, "-f", "json", cloud=cloud))

    def openstack(self, *words: str, cloud: str = "owner") -> str:
        """Give what `openstack image` prints."""
        program = venvs.environment("client") / "bin" / "openstack"
        return self._run(
            str(program), "--os-cloud", cloud, "--os-region-name", NAME, "image", *words
        )

    def script(self, text: str, *words: str) -> Any:
        """Give what a program prints that uses OpenStack's libraries."""
        python = venvs.environment("glanceclient") / "bin" / "python"
        return json.loads(self._run(str(python), "-c", text, *words))

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            words,
            env=environment(self._accounts.variables()),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def clients(server: Region, people: Accounts, tmp_path: Path) -> Clients:
    del server  # it has to run
    return Clients(people, tmp_path)


def test_an_image_lives_its_life_by_the_openstack_client(clients: Clients) -> None:
    formats = ("--disk-format", "raw", "--container-format", "bare")
    facts = ("--min-ram", "64", "--property", "os_distro=debian", "--tag", "a", "--private")
    made = clients.image("create", "--file", str(clients.file), *formats, *facts, "cli")
    image = made["id"]
    [row] = clients.image("list", "--name", "cli", "--tag", "a", "--property", "os_distro=debian")
    assert (row["ID"], row["Status"]) == (image, "active")
    changes = ("--name", "cli 2", "--property", "os_version=13", "--tag", "b", "--min-disk", "1")
    clients.openstack("set", *changes, "--protected", "cli")
    clients.openstack("unset", "--property", "os_distro", "--tag", "a", image)
    shown = clients.image("show", "cli 2")
    assert (shown["status"], shown["size"], shown["protected"]) == ("active", len(DATA), True)
    assert (shown["min_ram"], shown["min_disk"], shown["tags"]) == (64, 1, ["b"])
    assert shown["properties"]["os_version"] == "13"
    assert "os_distro" not in shown["properties"]
    assert shown["properties"]["os_hash_value"] == SHA512
    clients.openstack("save", "--file", "saved", image)
    assert (clients.folder / "saved").read_bytes() == DATA
    clients.openstack("set", "--unprotected", "--deactivate", image)
    [row] = clients.image("list", "--status", "deactivated", "--name", "cli 2")
    assert row["ID"] == image
    clients.openstack("delete", image)
    assert clients.image("list", "--name", "cli 2") == []


def test_an_image_is_shared_by_the_openstack_client(cloud: Cloud, clients: Clients) -> None:
    project = cloud.keystone.project("other")
    image = clients.image("create", "--shared", "shared by cli")["id"]
    assert clients.image("list", cloud="other") == []
    assert clients.image("add", "project", image, project)["status"] == "pending"
    [row] = clients.image("member", "list", image)
    assert (row["Member ID"], row["Status"]) == (project, "pending")
    clients.openstack("set", "--accept", image, cloud="other")
    [row] = clients.image("list", cloud="other")
    assert row["ID"] == image
    assert clients.image("member", "list", image)[0]["Status"] == "accepted"
    clients.openstack("remove", "project", image, project)
    assert clients.image("list", cloud="other") == []
    clients.openstack("delete", image)


def test_python_glanceclient(cloud: Cloud, clients: Clients) -> None:
    project = cloud.keystone.project("other")
    assert clients.script(GLANCECLIENT, project, str(clients.file)) == {
        "unseen": True,
        "again": True,
        "pending": ["pending"],
        "not theirs": True,
        "downloaded": SHA512,
        "recorded": ["sha512", SHA512, len(DATA)],
        "kept": [["b"], "scsi", None],
        "shared": ["by glanceclient"],
        "by name": ["by glanceclient"],
        "empty": [[f"empty {number}", "queued"] for number in range(3)],
    }


def test_openstacksdk(cloud: Cloud, clients: Clients) -> None:
    project = cloud.keystone.project("other")
    assert clients.script(SDK, project, str(clients.file)) == {
        "same": True,
        "members": ["accepted"],
        "streamed": SHA512,
        "deactivated": "deactivated",
        "named": ["by the SDK"],
        "tagged": True,
        "gone": True,
    }
    assert Path(f"{clients.file}.got").read_bytes() == DATA


def test_the_replicator_goes_both_ways(
    cloud: Cloud, place: Place, people: Accounts, clients: Clients
) -> None:
    glance = Place(cloud.regions["RegionTwo"].url, token=people.token("everywhere"))
    user = User(clients.folder, people.variables)
    ours, theirs = f"everywhere:{NAME}", "everywhere:RegionTwo"
    facts = {"visibility": "public", "tags": ["t"], "os_distro": "debian", "min_ram": 64}
    for name, source, target, begin, end in (
        ("out", place, glance, ours, theirs),
        ("back", glance, place, theirs, ours),
    ):
        words = (begin, end, "--match", f"name={name} *")
        images = [source.put(f"{name} {one}", DATA[one:], **facts) for one in range(3)]
        differing = user.rows("compare", *words, code=1)
        assert {row["ID"] for row in differing} == set(images)
        user.meltemi("livecopy", *words, code=0)
        assert user.rows("compare", *words, code=0) == []
        for image in images:
            source_image, replica = source.show(image), target.show(image)
            kept = ("status", "size", "checksum", "os_hash_value", *facts)
            assert {key: replica[key] for key in kept} == {key: source_image[key] for key in kept}
            assert target.hash(image) == source.hash(image)
        source.change(images[0], os_distro="alpine")
        assert [row["ID"] for row in user.rows("compare", *words, code=1)] == images[:1]
        user.meltemi("livecopy", *words, code=0)
        assert target.show(images[0])["os_distro"] == "alpine"
        assert user.rows("compare", *words, code=0) == []
