"""Archives: dump and load, there and back, and folders that glance-replicator wrote."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services

CARRIED = (
    *("name", "status", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "size"),
    *("disk_format", "container_format", "checksum", "os_hash_value", "tags", "kernel_id", "μπλε"),
)


def contents(archive: Path) -> dict[str, tuple[bytes, int]]:
    """Give every file of an image with its content and its time."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (archive / "images").iterdir()
    }


def test_there_and_back_again(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    guest = accounts.add("archive-guest")
    kernel = one.put(f"{name}kernel", some_data(1), disk_format="aki", container_format="aki")
    images = [
        kernel,
        one.put(
            f"{name}µ ⛵/~",
            some_data(2),
            visibility="public",
            tags=["a b", "τ"],
            kernel_id=kernel,
            protected=True,
            min_disk=2,
            min_ram=3,
            μπλε="⛵" * 300,
        ),
        one.put(f"{name}hidden", some_data(3), os_hidden=True),
        one.put(f"{name}deactivated", some_data(4)),
        one.put(f"{name}empty", b""),
        one.put(f"{name}shared", some_data(5), visibility="shared"),
    ]
    one.act(images[3], "deactivate")
    one.share(images[5], guest, "accepted")
    two.put("burnt", b"", id=kernel)
    two.delete(kernel)
    select = ("--match", f"name={name}*", "--members")
    dumped = user.rows("dump", "admin:RegionOne", "archive", *select)
    assert {row["ID"] for row in dumped} == set(images)
    readable = [p for p in (user.folder / "archive").rglob("*.json") if images[1] in p.name]
    assert json.loads(readable[0].read_text())["image"]["name"] == f"{name}µ ⛵/~"
    before = contents(user.folder / "archive")
    assert len(before) == 2 * len(images)
    assert user.rows("dump", "admin:RegionOne", "archive", *select) == []
    assert contents(user.folder / "archive") == before, "what is there unchanged is skipped"
    loaded = user.rows("load", "admin:RegionTwo", "archive", "--members")
    assert {row["Result"] for row in loaded} == {"done"}
    [new_kernel] = two.find(f"{name}kernel")
    for image in images[1:]:
        source, replica = one.show(image), two.show(image)
        for shown in (source, replica):
            shown["tags"].sort()
        wanted = {key: source.get(key) for key in CARRIED}
        if wanted["kernel_id"]:
            wanted["kernel_id"] = new_kernel["id"]
        assert {key: replica.get(key) for key in CARRIED} == wanted
    assert two.members(images[5]) == {guest: "accepted"}
    assert two.data(new_kernel["id"]) == some_data(1)
    assert user.rows("load", "admin:RegionTwo", "archive", "--members") == []
    assert user.rows("compare", "./archive", "admin:RegionTwo") == []
    for place in (one, two):
        place.change(images[1], protected=False)


def test_a_changed_image_is_dumped_again_without_its_data(
    user: User, anonymous: Service, name: str
) -> None:
    image = anonymous.put(f"{name}a", some_data(6), colour="red")
    dump = ("dump", anonymous.address, "archive", "--match", f"name={name}*")
    user.meltemi(*dump)
    anonymous.change(image, colour="blue")
    assert [(row["Action"], row["Bytes"]) for row in user.rows(*dump)] == [("update", 0)]
    assert user.rows(*dump) == []
    anonymous.delete(image)
    assert user.rows(*dump) == [], "what vanished stays in the archive"
    [row] = user.rows("load", anonymous.address, "archive")
    assert row["Result"] == "done"
    [restored] = anonymous.find(f"{name}a")
    assert restored["id"] != image, "the id is burnt"
    assert restored["colour"] == "blue"
    assert anonymous.data(restored["id"]) == some_data(6)


def test_loading_a_backup_does_not_make_replicas_of_originals(
    user: User, others: tuple[Service, Service], name: str
) -> None:
    """What is there before an archive is loaded still is a source for other routes."""
    source, target = others
    same = source.put(f"{name}same", some_data(7), colour="red")
    changed = source.put(f"{name}changed", some_data(8), colour="red")
    select = ("--match", f"name={name}*")
    user.meltemi("dump", source.address, "archive", *select)
    source.change(changed, colour="blue")
    rows = user.rows("load", source.address, "archive")
    assert [(row["ID"], row["Action"]) for row in rows] == [(changed, "update")]
    assert source.show(changed)["colour"] == "red", "the archive's word counts"
    assert user.rows("load", source.address, "archive") == []
    rows = user.rows("livecopy", source.address, target.address, *select)
    assert {(row["ID"], row["Result"]) for row in rows} == {(same, "done"), (changed, "done")}


def test_a_damaged_archive_creates_nothing(user: User, anonymous: Service, name: str) -> None:
    images = [anonymous.put(f"{name}{number}", some_data(9 + number)) for number in range(2)]
    dump = ("dump", anonymous.address, "archive", "--match", f"name={name}*")
    user.meltemi(*dump)
    for image in images:
        anonymous.delete(image)
    [victim] = [p for p in (user.folder / "archive").rglob(f"{images[1]}*") if p.suffix != ".json"]
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    refused = user.meltemi("load", anonymous.address, "archive", code=8)
    assert victim.name in refused.err
    assert anonymous.find(f"{name}1") == []
    victim.unlink()
    assert images[1] in user.meltemi("load", anonymous.address, "archive", code=8).err


def test_a_folder_of_glance_replicator_is_loaded(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    folder = user.folder / "legacy"
    folder.mkdir()
    images = {}
    for number, status in enumerate(("active", "active", "queued")):
        data, image = some_data(20 + number), str(uuid.uuid4())
        images[f"{name}{number}"] = (image, data)
        # As the Image API v1 gave it, which glance-replicator wrote down.
        metadata: dict[str, Any] = {
            "id": image,
            "name": f"{name}{number}",
            "status": status,
            "size": len(data),
            "checksum": hashlib.md5(data).hexdigest(),
            "owner": "5a0f1e1c6c7f4c55a9f4f4c1f0a3c9d2",
            "is_public": number == 0,
            "protected": False,
            "deleted": False,
            "disk_format": "raw",
            "container_format": "bare",
            "min_disk": 1,
            "min_ram": 0,
            "created_at": "2013-05-01T12:00:00",
            "updated_at": "2013-05-02T12:00:00",
            "deleted_at": None,
            "properties": {"os_distro": "debian", "kernel_id": ""},
        }
        (folder / image).write_text(json.dumps(metadata))
        if status == "active":
            (folder / f"{image}.img").write_bytes(data)
    for place in (anonymous, old):
        rows = user.rows("load", place.address, "legacy")
        assert sorted(row["Result"] for row in rows) == ["done", "done", "left out"]
        for number in range(2):
            image, data = images[f"{name}{number}"]
            replica = place.show(image)
            assert place.data(image) == data
            assert replica["visibility"] == ("private" if number else "public")
            assert (replica["os_distro"], replica["min_disk"]) == ("debian", 1)
        assert [row["Result"] for row in user.rows("load", place.address, "legacy")] == ["left out"]
    image = images[f"{name}1"][0]
    (folder / f"{image}.img").write_bytes(b"x" * 5000)
    anonymous.delete(image)
    refused = user.meltemi("load", anonymous.address, "legacy", "--match", f"id={image}", code=8)
    assert image in refused.err


def test_metadata_alone_is_dumped_and_its_data_follows(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    image = anonymous.put(f"{name}a", some_data(30), colour="red")
    dump = ("dump", anonymous.address, "archive", "--match", f"name={name}*")
    [row] = user.rows(*dump, "--metaonly")
    assert (row["Result"], row["Bytes"]) == ("done", 0)
    assert user.rows(*dump, "--metaonly") == []
    assert [row["Result"] for row in user.rows("load", old.address, "archive")] == ["left out"]
    assert not old.has(image)
    anonymous.change(image, colour="blue")
    assert [row["Bytes"] for row in user.rows(*dump)] == [5000]
    user.meltemi("load", old.address, "archive")
    assert old.data(image) == some_data(30)
    assert old.show(image)["colour"] == "blue"
