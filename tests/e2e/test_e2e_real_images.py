"""Real disks, byte by byte: a bootable CD, and a Debian as raw and as qcow2."""

import hashlib
from pathlib import Path

import pytest

from lab import images
from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.glance import Service

pytestmark = pytest.mark.services


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_member_replicates_a_bootable_cd_with_the_clients_of_his_cloud(
    user: User, accounts: Accounts, name: str
) -> None:
    """Nothing but `openstack` and `meltemi`, from the upload to the boot file's checksum."""
    del accounts
    iso = images.grub_iso()
    create = ("image", "create", "--disk-format", "iso", "--property", "hw_cdrom_bus=sata")
    image = user.openstack(
        *(*create, "--tag", "rescue", "--file", iso, "-f", "value", "-c", "id", f"{name}grub"),
        cloud="member",
        region="RegionOne",
    ).strip()
    user.meltemi(
        *("livecopy", "credential:RegionOne", "member:RegionTwo", "--match", f"name={name}*")
    )
    listed = user.openstack(
        *("image", "list", "--name", f"{name}grub", "-f", "value", "-c", "ID", "-c", "Status"),
        cloud="member",
        region="RegionTwo",
    )
    assert listed == f"{image} active\n"
    copy = user.folder / "copy.iso"
    user.openstack("image", "save", "--file", copy, image, cloud="member", region="RegionTwo")
    assert sha256(copy) == sha256(iso)


def test_a_debian_disk_as_raw_and_as_qcow2(
    user: User, one: Service, two: Service, anonymous: Service, name: str
) -> None:
    raw = images.debian_disk()
    files = {"raw": raw, "qcow2": images.as_qcow2(raw)}
    ids = {
        form: one.put(f"{name}{form}", file, disk_format=form, visibility="public")
        for form, file in files.items()
    }
    targets = ("admin:RegionTwo", anonymous.address)
    rows = user.rows("livecopy", "admin:RegionOne", *targets, "--match", f"name={name}*")
    assert {row["Result"] for row in rows} == {"done"}
    assert sum(row["Bytes"] for row in rows) == 2 * sum(f.stat().st_size for f in files.values())
    for form, file in files.items():
        for place in (two, anonymous):
            replica = place.show(ids[form])
            assert replica["virtual_size"] == one.show(ids[form])["virtual_size"]
            assert place.hash(ids[form]) == sha256(file)
    for place in (one, two, anonymous):
        for image in ids.values():
            place.delete(image)
